"""The journal alone: CPU of the appender per entry with 128 acts under way on PostgreSQL.

`run` starts this module in a process of its own on the servers' CPU; `measure` there appends a REQ and a REL for each
query, with the guards and the quota that a query has, first without, then with the sealed answer that is kept for a
repeat, and prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import uvloop

from consent.catalogue import load
from consent.enterprise import CreditCode
from consent.evidence import Evidence, Kind
from consent.oauth.token import digest
from node.clock import utc_now
from node.journal.act import Act, GrantLive, KeepAnswer, KeyNew, TokenLive, UseGrant
from node.journal.appender import Appender
from node.journal.ledger_postgres import PostgresLedger
from node.journal.note import Signer
from node.journal.standing import LogNames
from node.journal.subjects import SubjectKeys
from tests.load.arena import Arena
from tests.load.measure import Figure, Goal
from tests.load.parties import PURPOSE
from tests.load.places import BenchFailed, pin

CONCURRENCY = 128
WARM_S, MEASURED_S = 0.5, 2.0
ANSWER_BYTES = 26_000
GOAL = Goal(most=80)


async def run(arena: Arena) -> None:
    """Start the measuring process and tell what it found."""
    grants = [(each.grant_id, each.bank.client_id, each.uscc, digest(each.access)) for each in arena.parties.hot]
    place = arena.stage.folder / "append.json"
    place.write_text(json.dumps({"settings": arena.place["settings"], "grants": grants}), encoding="utf-8")
    pinned = [] if arena.stage.server_cpu is None else ["--cpu", str(arena.stage.server_cpu)]
    command = [sys.executable, "-m", "tests.load.area_append", str(place), *pinned]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise BenchFailed(f"append: {done.stderr.decode()[-1200:]}")
    bare, kept = json.loads(done.stdout)
    note = f"{bare['per_s']:,.0f} entries/s, {bare['batch']:.0f} entries a commit, {CONCURRENCY} acts under way"
    arena.told.figure(Figure("append_entry", bare["cpu_us"], "us/entry"), goal=GOAL, note=note)
    note = f"{kept['per_s']:,.0f} entries/s, an answer of {ANSWER_BYTES:,} bytes kept with every second entry"
    arena.told.figure(Figure("append_entry_and_answer", kept["cpu_us"], "us/entry"), note=note)


class Load:
    """Queries' acts, one pair after another."""

    def __init__(self, grants: list[list[str]], scope: tuple[str, ...]) -> None:
        self._grants = [(grant, client, CreditCode.parse(code), token) for grant, client, code, token in grants]
        self._scope = scope
        self._numbers = count()
        self.answer = b""
        self._run = secrets.token_hex(4)

    def pair(self) -> tuple[Act, Act]:
        """REQ and REL of one query, as the flows make them."""
        number = next(self._numbers)
        grant, client, firm, token = self._grants[number % len(self._grants)]
        req, key = f"qry_{self._run}{number}", f"append-{self._run}-{number}"
        public: dict[str, Any] = {"req": req, "grant": grant, "ver": 1, "purpose": PURPOSE, "items": self._scope}
        live, sha = GrantLive(grant, 1, quota=True), self._run * 8
        claimed = KeyNew(client, key, sha, req, 2**45)
        private = {"interaction": self._run, "jkt": sha, "request_sha256": sha}
        asked = Evidence(Kind.REQ, client, firm, public | {"ground": "consent"}, private)
        released = Evidence(Kind.REL, client, firm, public | {"n": 88, "retry_of": ""}, {"data_sha256": sha})
        denied = Evidence(Kind.DENY, client, firm, {"req": req, "grant": grant, "why": ""})
        keep = (KeepAnswer(client, key, self.answer),) if self.answer else ()
        return (
            Act((asked,), (claimed, TokenLive(token), live), (UseGrant(grant),), denied),
            Act((released,), (GrantLive(grant, 1),), keep, denied),
        )


async def measure(place: dict[str, Any]) -> list[dict[str, float]]:
    """Without and with kept answers: CPU per entry of this process, entries a second, entries a commit."""
    settings = place["settings"]
    seed, sealing = (bytes.fromhex(Path(settings[name]).read_text()) for name in ("journal_key", "sealing_key"))
    names = LogNames(settings["node_id"], load().version, lambda origin: Signer(origin, seed))
    appender = Appender(PostgresLedger(settings["database"]), names, SubjectKeys(sealing), utc_now)
    acts = Load(place["grants"], ("tax.vat_invoice_summary:read:2024-11/2026-10:1fff",) * 3)
    await appender.start()
    found = []
    for answer in (b"", secrets.token_bytes(ANSWER_BYTES)):
        acts.answer = answer
        await _appended(appender, acts, WARM_S)
        found.append(await _appended(appender, acts, MEASURED_S))
    await appender.stop()
    return found


async def _appended(appender: Appender, acts: Load, seconds: float) -> dict[str, float]:
    batches: list[int] = []
    appender.observe = lambda entries, _seconds: batches.append(entries)
    cpu, started = time.process_time(), time.perf_counter()

    async def client() -> None:
        while time.perf_counter() < started + seconds:
            asked, released = acts.pair()
            await appender.append(asked)
            await appender.append(released)

    await asyncio.gather(*[client() for _ in range(CONCURRENCY)])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    return {"cpu_us": cpu / sum(batches) * 1e6, "per_s": sum(batches) / wall, "batch": sum(batches) / len(batches)}


def main() -> None:
    """The measuring process."""
    parser = argparse.ArgumentParser(prog="tests.load.area_append")
    parser.add_argument("place", type=Path)
    parser.add_argument("--cpu", type=int)
    asked = parser.parse_args()
    pin(asked.cpu)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(json.loads(asked.place.read_text(encoding="utf-8"))))))


if __name__ == "__main__":
    main()
