"""Housekeeping: what a crash left open is closed in the journal, what expired is removed, an outage is waited out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from consent.evidence import Evidence, Kind
from node.clock import to_ms
from node.database import Reader, make_engine
from node.housekeeping import EVERY_S, OPEN_AFTER_MS, Housekeeping
from node.journal.act import Act, KeepAnswer, KeyNew
from node.journal.appender import Appender
from node.journal.leaf import Abort
from node.journal.reading import Proofs
from node.journal.tables import KeptAnswer
from node.metrics import Metrics
from tests.faults.journal import StillClock, appending, check_log, outside
from tests.people import CATALOGUE, PURPOSE, Bank, Enterprise

if TYPE_CHECKING:
    from tests.postgres import PostgresServer


@dataclass
class House:
    """A journal with a grant, and the keeper under test."""

    appender: Appender
    engine: AsyncEngine
    clock: StillClock
    keeper: Housekeeping
    metrics: Metrics
    public: dict[str, str | int | tuple[str, ...]]
    enterprise: Enterprise

    async def asks(self, name: str) -> None:
        """A REQ."""
        public = self.public | {"req": name, "ground": "consent"}
        await self.appender.append(Act((Evidence(Kind.REQ, "bank-a", self.enterprise.code, public),)))

    async def ends(self, name: str, kind: Kind) -> None:
        """The entry that ends a REQ."""
        public = {
            Kind.REL: self.public | {"req": name, "n": 1, "retry_of": ""},
            Kind.ASSESS: self.public | {"req": name, "card": "c"},
            Kind.DENY: {"req": name, "grant": self.public["grant"], "why": "consent.revoked"},
            Kind.ABORT: {"req": name, "why": "excess"},
        }[kind]
        await self.appender.append(Act((Evidence(kind, "bank-a", self.enterprise.code, public),)))

    def open_gauge(self) -> float | None:
        """What the metric says."""
        return self.metrics.registry.get_sample_value("audit_open_intents")


@pytest.fixture
async def house(database: str, clock: StillClock, bank: Bank, enterprise: Enterprise) -> AsyncIterator[House]:
    engine, metrics = make_engine(database), Metrics()
    async with appending(database, clock) as appender:
        await appender.append(bank.admitted(clock()))
        grant, given = enterprise.gives(bank, clock())
        await appender.append(given)
        reader = Reader(engine)
        keeper = Housekeeping(engine, reader, Proofs(reader), appender, clock, metrics)
        public = {"grant": grant.id, "ver": 1, "purpose": PURPOSE, "items": grant.scope.encode(CATALOGUE)}
        yield House(appender, engine, clock, keeper, metrics, public, enterprise)
    await engine.dispose()
    await check_log(database)


async def test_a_query_left_open_is_closed_ten_minutes_later(house: House, database: str) -> None:
    await house.asks("qry_1")
    house.clock.tick(OPEN_AFTER_MS / 1000)
    assert await house.keeper.round() == 0, "not before"
    house.clock.tick(0.001)
    assert await house.keeper.round() == 1
    assert house.open_gauge() == 1
    (closed,) = (await check_log(database)).of("ABORT")
    assert isinstance(closed, Abort)
    assert (closed.req, closed.why, closed.org, closed.ts) == ("qry_1", "no_end", "bank-a", to_ms(house.clock()))
    assert closed.seq == 3, "the enterprise sees how the query ended"
    assert await house.keeper.round() == 0
    assert house.open_gauge() == 0


@pytest.mark.parametrize("kind", [Kind.REL, Kind.ASSESS, Kind.DENY, Kind.ABORT])
async def test_a_query_that_ended_is_left_alone(house: House, kind: Kind) -> None:
    await house.asks("qry_1")
    await house.asks("qry_2")
    await house.ends("qry_2", kind)
    house.clock.tick(3600)
    assert await house.keeper.round() == 1
    assert await house.keeper.round() == 0


async def test_many_left_open_are_closed_each_once(house: House, database: str) -> None:
    for number in range(12):
        await house.asks(f"qry_{number}")
    house.clock.tick(3600)
    assert await house.keeper.round() == 12
    assert (await check_log(database)).requests("ABORT") == {f"qry_{number}" for number in range(12)}


async def test_kept_answers_go_when_their_time_is_over(house: House) -> None:
    noted = Evidence(Kind.BANK, "node", None, {"act": "noted"})
    for name, seconds in (("short", 60), ("long", 61)):
        key = KeyNew("bank-a", name, "0" * 64, "qry_1", to_ms(house.clock()) + seconds * 1000)
        await house.appender.append(Act((noted,), (key,)))
        await house.appender.append(Act((noted,), (), (KeepAnswer("bank-a", name, b"sealed"),)))
    house.clock.tick(60.001)
    await house.keeper.round()
    left = await Reader(house.engine).all(select(KeptAnswer.key))
    assert list(left) == ["long"]


@pytest.mark.postgres
@pytest.mark.serial
async def test_an_outage_is_waited_out(
    postgres: PostgresServer, postgres_database: str, clock: StillClock, bank: Bank, enterprise: Enterprise
) -> None:
    engine, metrics = make_engine(postgres_database), Metrics()
    async with appending(postgres_database, clock) as appender:
        reader = Reader(engine)
        keeper = Housekeeping(engine, reader, Proofs(reader), appender, clock, metrics)
        await keeper.round()
        await asyncio.to_thread(postgres.stop)
        keeping = asyncio.create_task(keeper.forever())
        done, _ = await asyncio.wait([keeping], timeout=1)
        await asyncio.to_thread(postgres.start)
        assert not done, f"the keeper died: {keeping.exception()!r}"
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.round()
    await engine.dispose()
    assert EVERY_S <= 60


async def test_a_locked_store_is_waited_out(sqlite_database: str, clock: StillClock) -> None:
    """The first statement of a round meets a lock that is held for longer than it waits."""
    engine = make_engine(sqlite_database)
    async with appending(sqlite_database, clock) as appender:
        async with engine.connect() as connection:
            await connection.execute(text("PRAGMA busy_timeout = 50"))
        reader = Reader(engine)
        keeper = Housekeeping(engine, reader, Proofs(reader), appender, clock, Metrics())
        async with outside(sqlite_database) as holding:
            await holding.execute(text("UPDATE journal_head SET last_ts = last_ts"))
            keeping = asyncio.create_task(keeper.forever())
            done, _ = await asyncio.wait([keeping], timeout=0.5)
        assert not done, f"the keeper died: {keeping.exception()!r}"
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    await engine.dispose()
