"""Commands of the log: export an evidence bundle, verify one (or a running log) offline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from consent.catalogue import load as load_catalogue
from node.app import Secrets, log_names
from node.clock import to_ms, utc_now
from node.database import Reader, make_engine
from node.journal.bundle import About, verify_bundle, write_bundle
from node.journal.reading import LogReading
from node.journal.receipt_check import verify_receipt
from node.journal.remote import verify_remote
from node.journal.report import Report
from node.journal.standing import log_year
from node.journal.verify import Trust, directory_reader, verify_log
from node.settings import Settings, load

TIMEOUT_S = 30


def export(
    out: Annotated[Path, typer.Option(help="The bundle to write")],
    folder: Annotated[Path, typer.Option("--dir", help="The node's folder, with node.toml")] = Path("var/demo"),
    config: Annotated[Path | None, typer.Option("--config", "-c", help="TOML settings file instead of --dir")] = None,
    year: Annotated[int, typer.Option(help="The log's year; 0 = this year")] = 0,
) -> None:
    """Write the whole log of a year as one signed evidence bundle."""
    settings = load(config or folder / "node.toml")
    data = asyncio.run(bundle_of(settings, year or log_year(to_ms(utc_now()))))
    out.write_bytes(data)
    typer.echo(f"{out}: {len(data)} bytes")


async def bundle_of(settings: Settings, year: int) -> bytes:
    """The evidence bundle of a year's log."""
    engine = make_engine(settings.database)
    try:
        members = await LogReading(Reader(engine), year).members()
    finally:
        await engine.dispose()
    catalogue = load_catalogue()
    names = log_names(settings, catalogue, Secrets.read(settings).journal_seed)
    return write_bundle(members.get, names.signer(names.origin(year)), About(settings.node_id, catalogue.version))


def verify(
    target: Annotated[str, typer.Argument(help="Bundle, folder of tiles, answer with receipt (.json), or log URL")],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, from a source you trust")] = "",
    token: Annotated[str, typer.Option(help="Regulator's token, for the entries of a running log")] = "",
) -> None:
    """Check evidence without trusting the node. Exit 0 when all that was checked holds; what was not is said."""
    report = _report(target, vkey, token)
    _print(report)
    if not report.ok:
        raise typer.Exit(1)


def _report(target: str, vkey: str, token: str) -> Report:
    if target.startswith(("http://", "https://")):
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client:
            prefix = target.rstrip("/")
            return verify_remote(
                client, prefix, vkey=vkey or _stated_key(client, prefix), token=token or None, pinned=bool(vkey)
            )
    path = Path(target)
    if path.is_dir():
        if not vkey:
            raise typer.BadParameter("a folder of tiles needs --vkey")
        return verify_log(directory_reader(path), Trust(vkey, "pinned"))
    data = path.read_bytes()
    if path.suffix == ".json":
        if not vkey:
            raise typer.BadParameter("a receipt needs --vkey")
        return verify_receipt(data, vkey)
    return verify_bundle(data, vkey or None)


def _limits(report: Report) -> list[str]:
    """What was not proven, said beside the verdict."""
    found = []
    if not report.pinned:
        found.append(
            "公钥未经另行取得，可能出自他人：请用 --vkey 指定 / the key is not confirmed from elsewhere: use --vkey"
        )
    if report.checkpoint is not None:
        found.append(
            "没有见证签名：不证明此后没有更多条目，也不证明他人看到的是同一本账 / no witness: later entries, "
            "and another log shown to others, are not ruled out"
        )
    return found


def _stated_key(client: httpx.Client, prefix: str) -> str:
    """The key the node itself states: first use, nothing pinned. Said on the screen, so that nobody takes it for
    proof.
    """
    typer.echo("no --vkey given: using the key the node states of itself", err=True)
    words = client.get(f"{prefix}/policy").raise_for_status().text.split()
    return words[1] if len(words) > 1 else ""


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    marks = {True: "✓", False: "✗", None: "–"}
    for check in report.checks:
        console.print(f"{marks[check.ok]} {check.step} {check.id}: {check.zh} / {check.en}", markup=False)
    for broken in report.laws.violations if report.laws else ():
        console.print(f"  ✗ #{broken.index} {broken.rule}: {broken.zh} / {broken.en}", markup=False)
    if report.checkpoint is not None:
        head = report.checkpoint
        console.print(f"{head.origin} size {head.size} root {head.root.hex()}", markup=False)
    if report.ok:
        whole = report.complete and report.pinned
        console.print("成立 VERIFIED" if whole else "已检查部分成立 HOLDS AS FAR AS CHECKED", markup=False)
        for line in _limits(report):
            console.print(line, markup=False)
    else:
        console.print("不成立 REFUSED", markup=False)
