"""Commands that run or change a node: serve, migrate, keys, enrol."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from consent.catalogue import load as load_catalogue
from consent.errors import Refusal
from consent.oauth.bank import Enrolment
from node import logs, schema
from node.app import Node, Secrets, log_names, make_ledger
from node.clock import utc_now
from node.embedded import PREFIX, PrivateValkey
from node.flows.enrol import Enrol
from node.journal.appender import Appender
from node.journal.subjects import SubjectKeys
from node.routes.operator import operator_app
from node.settings import Settings, load

Config = Annotated[Path, typer.Option("--config", "-c", help="TOML settings file", envvar="XYD_CONFIG")]
BACKLOG = 1024


class CommandFailed(Exception):
    """A command could not do what it was asked; the message says why, for a person."""


GRACE_S = 10

keys = typer.Typer(no_args_is_help=True)
enrolment = typer.Typer(no_args_is_help=True)


@contextmanager
def with_valkey(settings: Settings) -> Iterator[Settings]:
    """The settings with a real Valkey URL, starting a private process when they ask for an embedded one."""
    if not settings.valkey.startswith(PREFIX):
        yield settings
        return
    private = PrivateValkey(Path(settings.valkey.removeprefix(PREFIX)))
    try:
        yield settings.model_copy(update={"valkey": private.start()})
    finally:
        private.stop()


def serve(config: Config) -> None:
    """Serve the node until it is told to stop. Refuses on an unmigrated database."""
    logs.configure()
    with with_valkey(load(config)) as settings:
        try:
            with asyncio.Runner(loop_factory=_loop) as runner:
                runner.run(_serve(settings))
        except schema.NotMigrated as refusal:
            typer.echo(str(refusal), err=True)
            raise typer.Exit(2) from None


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - not on every platform; the plain loop serves as well, slower

    return uvloop.new_event_loop()


async def _serve(settings: Settings) -> None:
    node = Node(settings)
    await schema.check(settings.database)
    common: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 75,
    }
    doors = uvicorn.Config(
        node.asgi, host=settings.host, port=settings.port, backlog=BACKLOG, timeout_graceful_shutdown=GRACE_S, **common
    )
    front = _Quiet(doors)

    async def open_doors() -> str:
        return "" if front.started else "starting"

    checks = {**node.checks(), "doors": open_doors}
    operator = uvicorn.Config(
        operator_app(node.metrics, checks), host=settings.metrics_host, port=settings.operator_port, **common
    )
    servers = [front, _Quiet(operator)]
    loop = asyncio.get_running_loop()

    def end() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    async with asyncio.TaskGroup() as group:
        main = group.create_task(servers[0].serve())
        group.create_task(servers[1].serve())
        await asyncio.wait([main])
        servers[1].should_exit = True
    if not servers[0].started:
        raise typer.Exit(1)


class _Quiet(uvicorn.Server):
    """A server that leaves signals to us, since two share the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def migrate(config: Config) -> None:
    """Bring the database to the newest revision."""
    asyncio.run(schema.migrate(load(config).database))
    typer.echo("migrated")


@keys.command("make")
def make_keys(folder: Annotated[Path, typer.Argument(help="Folder for journal.key and sealing.key")]) -> None:
    """Make fresh key files, readable by their owner only. Never overwrites."""
    for path in new_keys(folder):
        typer.echo(str(path))


def new_keys(folder: Path) -> list[Path]:
    """The key files that were missing in a folder and now are there."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in ("journal.key", "sealing.key"):
        path = folder / name
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_hex(32), encoding="ascii")
            made.append(path)
    return made


@enrolment.command("bank")
def enrol_bank(
    config: Config, file: Annotated[Path, typer.Argument(help="JSON: client_id, name, org_uscc, jwks, alg, …")]
) -> None:
    """Admit a bank from a JSON file."""
    raw = json.loads(file.read_text(encoding="utf-8"))
    settings = load(config)
    try:
        raw["redirect_uris"], raw["purposes"] = tuple(raw["redirect_uris"]), tuple(raw["purposes"])
        asked = Enrolment(**raw)
    except (KeyError, TypeError) as error:
        raise CommandFailed(f"{file.name} lacks or has too many members: {error}") from None
    try:
        asyncio.run(with_enrol(settings, lambda enrol: enrol.bank(asked)))
    except Refusal as refusal:
        typer.echo(f"refused: {refusal.detail} {refusal.extra or ''}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"enrolled {raw['client_id']}")


async def with_enrol(settings: Settings, work: Any) -> None:
    """Run enrolment with an appender of its own: the journal's lock lets several processes append."""
    secret = Secrets.read(settings)
    names = log_names(settings, load_catalogue(), secret.journal_seed)
    appender = Appender(make_ledger(settings.database), names, SubjectKeys(secret.sealing_key), utc_now)
    await appender.start()
    try:
        await work(Enrol(appender, utc_now, settings.issuer.startswith("http:")))
    finally:
        await appender.stop()
