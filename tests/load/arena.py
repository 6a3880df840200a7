"""The arena: stage, parties and servers together, and the lanes that lead to the servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from node import schema
from node.database import engine_url
from node.journal.note import Signer
from tests.load.checks import query_check
from tests.load.feeds import Feed, Maker, looped, query_maker, this_log_year
from tests.load.generator import CONNECTIONS, Check, Lane
from tests.load.measure import Told
from tests.load.parties import Given, Parties, seed
from tests.load.places import BenchFailed, Server, Stage
from tests.load.records import DEPARTMENT, MAIN

ISSUER = "https://node.example"
NODE_ID = "bench.node.example"
KEY = "bench-department-key"


class Arena:
    """Made by `opened`. `place` is what servers are told; `parties` are in the database."""

    def __init__(self, stage: Stage, told: Told) -> None:
        self.stage, self.told = stage, told
        self.servers: dict[str, Server] = {}
        self.place: dict[str, Any] = {}
        self.parties: Parties
        self._seed = ""

    async def prepare(self, names: Sequence[str]) -> None:
        """Migrate, seed, start the departments and the named servers, all at once."""
        stage = self.stage
        (self._departments,) = stage.servers([["tests.load.departments", "--key", KEY]], served=False)
        await schema.migrate(stage.postgres.dsn)
        sealing, journal = stage.secret("sealing.key"), stage.secret("journal.key")
        self._seed = journal.read_text()
        self.parties = await seed(stage.postgres.dsn, sealing, ISSUER)
        self.place = self._place(sealing, journal)
        self.place_file.write_text(json.dumps(self.place), encoding="utf-8")
        self.servers = dict(zip(names, self.start([[name] for name in names]), strict=True))

    @property
    def place_file(self) -> Path:
        """Where `place` is written."""
        return self.stage.folder / "place.json"

    def start(self, words: Sequence[Sequence[str]]) -> list[Server]:
        """Start servers by the words of `tests.load.serve`."""
        return self.stage.servers([["tests.load.serve", *each, "--place", str(self.place_file)] for each in words])

    def _place(self, sealing: Path, journal: Path) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self._departments.port}"
        departments = set(DEPARTMENT.values())
        settings = {
            "node_id": NODE_ID,
            "node_name": "基准测试节点",
            "issuer": ISSUER,
            "database": self.stage.postgres.dsn,
            "valkey": self.stage.valkey,
            "journal_key": str(journal),
            "sealing_key": str(sealing),
            "regulator_token": "bench-regulator-token",
            "departments": dict.fromkeys(departments, address),
            "department_keys": dict.fromkeys(departments, KEY),
            "bank_rate_per_s": 100_000,
        }
        return {
            "settings": settings,
            "departments": address,
            "key": KEY,
            "naive_database": engine_url(self.stage.postgres.dsn),
            "valkey": self.stage.valkey,
            "issuer": ISSUER,
            "issuer_jwk": self.parties.issuer_jwk,
        }

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        return Signer(f"{NODE_ID}/log/{this_log_year()}", bytes.fromhex(self._seed)).vkey

    def set_delay(self, milliseconds: int) -> None:
        """How long the departments wait before every answer."""
        url = f"http://127.0.0.1:{self._departments.port}/sandbox/delay"
        with urllib.request.urlopen(urllib.request.Request(url, str(milliseconds).encode()), timeout=5) as answer:
            answer.read()

    def query_lane(self, name: str, *, datasets: tuple[str, ...] = MAIN, pool: Sequence[Given] = ()) -> Lane:
        """A lane of queries to a server; peers that check nothing get the same few requests again and again."""
        peer = name in ("plain", "limit")
        asked = datasets[:1] if name == "plain" else datasets
        maker = query_maker(ISSUER, pool or self.parties.hot, asked, jwt=name == "naive")
        check = query_check(asked, gateway=not peer and name != "naive")
        return self.lane(name, looped(maker, 500) if peer else maker, check)

    def lane(self, name: str, maker: Maker, check: Check) -> Lane:
        """A lane to a server by its name; the part behind a colon is the lane's own."""
        server = self.servers[name.partition(":")[0]]
        return Lane(name, server.port, server.pid, Feed(maker), check)

    @asynccontextmanager
    async def lanes(self, *lanes: Lane, connections: int = CONNECTIONS) -> AsyncIterator[None]:
        """The lanes connected, closed afterwards."""
        try:
            for lane in lanes:
                await lane.open(connections)
            yield
        finally:
            for lane in lanes:
                lane.close()
            await asyncio.sleep(0)

    async def journal_counts(self) -> tuple[int, int]:
        """Entries and commits of the journal so far."""
        connection = await asyncpg.connect(self.stage.postgres.dsn)
        try:
            entries = await connection.fetchval("SELECT count(*) FROM journal_entry")
            commits = await connection.fetchval("SELECT count(*) FROM journal_checkpoint")
        finally:
            await connection.close()
        return entries, commits


@contextlib.asynccontextmanager
async def opened(told: Told, names: Sequence[str]) -> AsyncIterator[Arena]:
    """An arena with the named servers running; everything ends with it."""
    with Stage() as stage:
        arena = Arena(stage, told)
        try:
            await arena.prepare(names)
            yield arena
        except BenchFailed as failed:
            await asyncio.sleep(0.3)  # a server answers 500 before it writes down why
            raise BenchFailed(f"{failed}\n{stage.last_words()}") from None
