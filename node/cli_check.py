"""Commands that look and tell: doctor, catalogue check, train, bench."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from adapters.registry import load_registry
from consent.catalogue import CURRENT
from consent.catalogue import load as load_catalogue
from consent.purpose import templates
from node import schema
from node.app import Secrets
from node.embedded import PREFIX
from node.settings import Settings, load

ROOT = Path(__file__).resolve().parent.parent
Config = Annotated[Path, typer.Option("--config", "-c", help="TOML settings file", envvar="XYD_CONFIG")]

catalogue = typer.Typer(no_args_is_help=True)


def doctor(config: Config = Path("var/demo/node.toml")) -> None:
    """Say what is missing and how to mend it. Exit 1 when the node could not serve."""
    findings = diagnose(config)
    table = Table("检查 check", "结果 result", "如何处理 how to mend")
    for name, wrong, mend in findings:
        table.add_row(name, f"✗ {wrong}" if wrong else "✓", mend if wrong else "")
    Console().print(table)
    if any(wrong for _, wrong, _ in findings):
        raise typer.Exit(1)


def diagnose(config: Path) -> list[tuple[str, str, str]]:
    """(check, what is wrong or '', how to mend it) in the order a newcomer would meet them."""
    python = "" if sys.version_info >= (3, 11) else f"Python {sys.version.split()[0]}"
    findings = [("python ≥ 3.11", python, "install Python 3.11 or newer")]
    if not config.is_file():
        return [*findings, ("settings", f"no {config}", "xyd demo makes one; for production copy deploy/node.toml")]
    try:
        settings = load(config)
    except tomllib.TOMLDecodeError as error:
        return [*findings, ("settings", str(error), "mend the line; deploy/node.toml shows the form")]
    except ValidationError as error:
        bad = ", ".join(".".join(str(part) for part in each["loc"]) or each["msg"] for each in error.errors())
        return [*findings, ("settings", bad, "mend the named keys; deploy/node.toml explains each")]
    findings.append(("settings", "", ""))
    findings.append(("key files", _wrong(lambda: Secrets.read(settings)), "xyd keys make FOLDER; chmod 600"))
    findings.append(("database", asyncio.run(_database(settings)), "start it, then: xyd migrate --config FILE"))
    findings.append(("valkey", asyncio.run(_valkey(settings)), 'start it, or set valkey = "embedded:FOLDER"'))
    lacking = sorted({entry.department for entry in load_registry().values()} - set(settings.departments))
    findings.append(
        ("departments", f"no address for {', '.join(lacking)}" if lacking else "", "[departments] name = url")
    )
    return findings


def _wrong(check: Callable[[], object]) -> str:
    try:
        check()
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def _database(settings: Settings) -> str:
    try:
        await schema.check(settings.database)
    except schema.NotMigrated as error:
        return str(error)
    except (SQLAlchemyError, OSError) as error:
        return type(error).__name__
    return ""


async def _valkey(settings: Settings) -> str:
    if settings.valkey.startswith(PREFIX):
        return ""
    client: Redis = Redis.from_url(settings.valkey, socket_timeout=2, socket_connect_timeout=2)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return type(error).__name__
    finally:
        await client.aclose()
    return ""


@catalogue.command("check")
def check_catalogue(version: Annotated[str, typer.Argument(help="Catalogue version")] = CURRENT) -> None:
    """Load and validate a catalogue, the purpose templates and the source registry against it."""
    loaded = load_catalogue(version)
    fields = sum(len(item.fields) for item in loaded.items.values())
    typer.echo(f"catalogue {loaded.version}: {len(loaded.items)} items, {fields} fields, sha256 {loaded.sha256}")
    for each in templates(loaded).values():
        typer.echo(f"purpose {each.code} v{each.version}: {len(each.datasets)} items, sha256 {each.sha256}")
    typer.echo(f"sources: {len(load_registry())} datasets")


def train(
    facts: Annotated[Path, typer.Option(help="Folder with invoices.csv.xz and firms.csv")] = Path(
        "deploy/sandbox/facts"
    ),
    out: Annotated[Path, typer.Option(help="Where the card and its model card go")] = Path("risk/cards"),
) -> None:
    """Train the scorecard again; seeded, the same bytes every time. Needs the development requirements."""
    command = [sys.executable, "-m", "risk.training", "--facts", str(facts), "--out", str(out)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def bench(
    only: Annotated[str, typer.Option(help="One area only")] = "", json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """Run the benchmark of a checkout: ratios against peers in the same run."""
    command = [
        sys.executable,
        "-m",
        "tests.load.bench",
        *(["--only", only] if only else []),
        *(["--json"] if json else []),
    ]
    raise typer.Exit(subprocess.run(command, check=False, cwd=ROOT).returncode)
