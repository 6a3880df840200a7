"""The composition root: settings in, a running node out. Ordinary constructor calls, one place."""

from __future__ import annotations

import asyncio
import gc
import hmac
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from adapters.pooled import PooledTransport
from adapters.registry import load_registry
from adapters.source import Departments
from adapters.transport import AiohttpTransport, Endpoint, Transport
from consent.catalogue import Catalogue
from consent.catalogue import load as load_catalogue
from consent.oauth.issuer import Issuer, Rules
from consent.sealing import KEY_BYTES
from consent.signing import RelyingParty
from node import logs, schema
from node.clock import Clock, to_ms, utc_now
from node.database import Reader, make_engine
from node.errors import StoreUnavailable
from node.faces.render import Faces, NodeName
from node.flows.admission import Admission
from node.flows.assess import Assess
from node.flows.loading import Loader
from node.flows.oauth import OAuth
from node.flows.phone.flows import PhoneParts, phone_flows
from node.flows.query import Query
from node.flows.repeat import Repeat
from node.housekeeping import Housekeeping
from node.journal.appender import Appender
from node.journal.ledger import Ledger
from node.journal.ledger_postgres import PostgresLedger
from node.journal.ledger_sqlite import SqliteLedger
from node.journal.note import Signer
from node.journal.reading import Openings, Proofs
from node.journal.standing import LogNames, log_year
from node.journal.subjects import SubjectKeys
from node.journal.tables import Head
from node.lookups import rows_of
from node.metrics import Metrics
from node.routes import bank, edges, log, oauth, pages, phone
from node.routes.front import Front
from node.routes.gateway import Gateway
from node.routes.operator import Check
from node.settings import Settings, read_secret
from node.state import Claims
from node.valkey_line import ValkeyLine
from risk.card_file import shipped

GC_THRESHOLD = (20_000, 20, 20)
TRANSPORTS: dict[str, type[Transport]] = {"pooled": PooledTransport, "aiohttp": AiohttpTransport}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is read from key files: the log's Ed25519 seed and the key-encryption key, 32 bytes each."""

    journal_seed: bytes
    sealing_key: bytes

    @classmethod
    def read(cls, settings: Settings) -> Secrets:
        """From the files the settings name, 64 hex digits each. Raises OSError, PermissionError, ValueError."""
        return cls(*(_key(path) for path in (settings.journal_key, settings.sealing_key)))

    def pairwise(self) -> bytes:
        """The key of pairwise subject identifiers, derived so that it need not be kept."""
        return hmac.digest(self.sealing_key, b"xyd-pairwise-v1", "sha256")


def make_ledger(database: str) -> Ledger:
    """The ledger of a database setting."""
    if database.startswith("sqlite:///"):
        return SqliteLedger(database.removeprefix("sqlite:///"))
    return PostgresLedger(database)


def log_names(settings: Settings, catalogue: Catalogue, seed: bytes) -> LogNames:
    """Who signs which log of this node."""
    return LogNames(settings.node_id, catalogue.version, lambda origin: Signer(origin, seed))


class Node:
    """Everything a process holds. `start` before serving, `stop` after."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        secrets = Secrets.read(settings)
        self.settings, self.clock, self.metrics = settings, clock, Metrics()
        self.catalogue = load_catalogue()
        self.engine: AsyncEngine = make_engine(settings.database)
        self.reader = Reader(self.engine)
        self.valkey: Redis = Redis.from_url(settings.valkey, socket_timeout=2, socket_connect_timeout=2)
        self.line = ValkeyLine(settings.valkey)
        self.claims = Claims(self.line, clock)
        self.keys = SubjectKeys(secrets.sealing_key)
        self.names = log_names(settings, self.catalogue, secrets.journal_seed)
        ledger = make_ledger(settings.database)
        self.appender = Appender(ledger, self.names, self.keys, clock, queue=settings.append_queue)
        self.appender.observe = self.metrics.committed
        self.proofs = Proofs(self.reader)
        self.departments = Departments.build(load_registry(), _endpoints(settings), TRANSPORTS[settings.transport])
        self.rules = Rules(Issuer(settings.issuer, secrets.pairwise()), self.catalogue)
        self.loader = Loader(self.reader, rows_of(settings.database), self.catalogue)
        self.asgi = self._application(self._gateway())
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check the schema, run the journal's boot self-check, open the departments. Raises rather than serve in
        doubt.
        """
        await schema.check(self.settings.database)
        await self.appender.start()
        await self.departments.open()
        self.metrics.watch(self.appender)
        _settle_memory()
        keeper = Housekeeping(self.engine, self.reader, self.proofs, self.appender, self.clock, self.metrics)
        self._housekeeping = asyncio.create_task(keeper.forever(), name="housekeeping")

    async def stop(self) -> None:
        """Drain the journal and close everything."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._housekeeping
        await self.appender.stop()
        await self.departments.close()
        await self.loader.close()
        self.line.close()
        await self.valkey.aclose()
        await self.engine.dispose()

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    def _gateway(self) -> Gateway:
        settings = self.settings
        admission = Admission(
            loader=self.loader,
            claims=self.claims,
            appender=self.appender,
            clock=self.clock,
            catalogue=self.catalogue,
            issuer=self.rules.issuer,
            limit=settings.bank_rate_per_s,
            keep_ms=settings.answers_kept_s * 1000,
        )
        department_of = self.departments.department_of
        query = Query(admission, self.departments, department_of, self.keys, self.metrics.leg)
        assess = Assess(query, shipped())
        repeat = Repeat(self.reader, self.appender, self.keys, self.catalogue)
        flows = {"/v1/queries": repeat.around(query.run), "/v1/assessments": repeat.around(assess.run)}
        told = logs.RequestLines(sys.stderr.buffer, self.clock).line
        return Gateway(flows, self.metrics, longest_s=settings.query_deadline_ms / 1000, told=told)

    def _application(self, gateway: Gateway) -> Front:
        settings = self.settings
        app = FastAPI(
            title=settings.node_name, lifespan=self._lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
        )
        flow = OAuth(self.rules, self.loader, self.claims, self.valkey, self.appender, self.clock)
        face = NodeName(settings.node_id, settings.node_name)
        faces = Faces(face, self.catalogue, secure=settings.issuer.startswith("https:"))
        app.include_router(oauth.router(flow, self.rules))
        app.include_router(bank.router(gateway, self.catalogue))
        app.include_router(log.router(self.proofs, self._card(), settings.regulator_token.get_secret_value()))
        app.include_router(pages.router(faces, addresses=self._addresses()))
        app.include_router(phone.router(phone_flows(self._phone()), faces))
        edges.install(app)
        return Front(gateway, app, fast=settings.fast_path)

    def _phone(self) -> PhoneParts:
        return PhoneParts(
            reader=self.reader,
            valkey=self.valkey,
            loader=self.loader,
            appender=self.appender,
            openings=Openings(self.reader, self.keys),
            proofs=self.proofs,
            rules=self.rules,
            party=RelyingParty(self.settings.rp_id, self.settings.issuer),
            node_id=self.settings.node_id,
            clock=self.clock,
        )

    def _addresses(self) -> pages.Addresses:
        settings = self.settings
        return pages.Addresses(
            issuer=settings.issuer,
            metrics=f"http://{settings.metrics_host}:{settings.operator_port}/metrics",
            log=f"/log/{log_year(to_ms(self.clock()))}/checkpoint",
            metadata=self.rules.issuer.metadata_path,
        )

    def _card(self) -> log.Card:
        settings = self.settings
        return log.Card(settings.node_id, settings.node_name, settings.issuer, self.catalogue.version, self.vkey)

    def vkey(self, year: int) -> str:
        """The verifier key of a year's log."""
        return self.names.signer(self.names.origin(year)).vkey

    def checks(self) -> dict[str, Check]:
        """What /readyz asks."""

        async def database() -> str:
            try:
                await self.reader.first(select(Head.log_year))
            except StoreUnavailable as error:
                return str(error)
            return ""

        async def valkey() -> str:
            try:
                await self.valkey.ping()
            except RedisError as error:
                return type(error).__name__
            return ""

        async def journal() -> str:
            return self.appender.halted

        return {"database": database, "valkey": valkey, "journal": journal}


def _settle_memory() -> None:
    """What start-up made lives as long as the process: out of the collector's sight, which then comes seldom.

    Measured 8 % of CPU and half the p99 with a full memory of grants (reference/performance.md §8).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _key(path: Path) -> bytes:
    key = bytes.fromhex(read_secret(path).decode())
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path.name} holds {len(key)} bytes instead of {KEY_BYTES}")
    return key


def _endpoints(settings: Settings) -> dict[str, Endpoint]:
    return {
        name: Endpoint(url, settings.department_keys[name].get_secret_value())
        for name, url in settings.departments.items()
    }
