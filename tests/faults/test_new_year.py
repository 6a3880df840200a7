"""What began in one year's log and goes on in the next is as lawful as before: grants, tokens, queries under way."""

from datetime import UTC, datetime

from sqlmodel import select

from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.oauth.token import digest
from node.database import Reader, make_engine
from node.housekeeping import Housekeeping
from node.journal.act import Act, GrantLive, TokenLive, UseGrant
from node.journal.reading import Proofs
from node.journal.tables import Entry
from node.metrics import Metrics
from tests.faults.journal import StillClock, appending, check_log
from tests.people import CATALOGUE, PURPOSE, Bank, Enterprise

LAST_MINUTE = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)


def _terms(grant: Terms, name: str) -> dict[str, str | int | tuple[str, ...]]:
    items = grant.scope.encode(CATALOGUE)
    return {"req": name, "grant": grant.id, "ver": 1, "purpose": PURPOSE, "items": items}


async def test_a_grant_of_last_year_is_used_lawfully_this_year(
    database: str, bank: Bank, enterprise: Enterprise
) -> None:
    clock = StillClock(LAST_MINUTE)
    async with appending(database, clock) as appender:
        await appender.append(bank.admitted(clock()))
        grant, given = enterprise.gives(bank, clock())
        await appender.append(given)
        token, issued = bank.token(grant, clock())
        await appender.append(issued)
        clock.tick(120)
        guards = (TokenLive(digest(token)), GrantLive(grant.id, 1))
        asked = Evidence(Kind.REQ, bank.client_id, enterprise.code, _terms(grant, "qry_1") | {"ground": "consent"})
        await appender.append(Act((asked,), guards, (UseGrant(grant.id),)))
        given_away = _terms(grant, "qry_1") | {"n": 1, "retry_of": ""}
        await appender.append(Act((Evidence(Kind.REL, bank.client_id, enterprise.code, given_away),), guards[1:]))
    await check_log(database, 2026)
    await check_log(database, 2027)


async def test_a_query_open_over_midnight_is_closed_lawfully(database: str, bank: Bank, enterprise: Enterprise) -> None:
    clock = StillClock(LAST_MINUTE)
    engine = make_engine(database)
    async with appending(database, clock) as appender:
        await appender.append(bank.admitted(clock()))
        grant, given = enterprise.gives(bank, clock())
        await appender.append(given)
        asked = Evidence(Kind.REQ, bank.client_id, enterprise.code, _terms(grant, "qry_1") | {"ground": "consent"})
        await appender.append(Act((asked,)))
        clock.tick(3600)
        reader = Reader(engine)
        keeper = Housekeeping(engine, reader, Proofs(reader), appender, clock, Metrics())
        assert await keeper.round() == 1
        (closed,) = await reader.all(select(Entry).where(Entry.kind == "ABORT"))
        assert closed.log_year == 2027
    await engine.dispose()
    await check_log(database, 2027)
