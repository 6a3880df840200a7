"""`make bench`: measures the gateway beside its peers and prints what was reached.

    python -m tests.load.bench [--only AREA] [--json] [--top N]

Ratios are peer ÷ gateway in CPU a request (user + system of the server's process tree): above 1 the gateway is cheaper.
All servers run at once and are driven in turn in short slices, so a slow moment of the machine falls on all of them; a
ratio is the median over the rounds, with quartiles. Every reply is checked. Exit 0: measured; 2: something failed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from tests.load import area_append, area_calls, area_gateway, area_oauth, area_paced, area_slope
from tests.load.arena import Arena, opened
from tests.load.measure import Figure, Told, fdatasync_ms, loop_ms
from tests.load.places import BenchFailed

Area = Callable[[Arena], Awaitable[None]]
AREAS: dict[str, tuple[Area, tuple[str, ...]]] = {
    "gateway": (area_gateway.run, ("gateway", "plain", "limit", "naive")),
    "calls": (area_calls.run, ()),
    "paced": (area_paced.run, ("gateway", "limit")),
    "slope": (area_slope.run, ("gateway",)),
    "append": (area_append.run, ()),
    "oauth": (area_oauth.run, ("gateway",)),
}
"""An area and the servers it drives, in the order they run."""


async def run(told: Told, names: list[str]) -> None:
    """Measure the named areas."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    servers = sorted({server for name in names for server in AREAS[name][1]})
    async with opened(told, servers) as arena:
        gc.freeze()
        machine(arena, "before")
        for name in names:
            started = time.perf_counter()
            told.say(f"{name}")
            await AREAS[name][0](arena)
            told.say(f"  {'':<28}{time.perf_counter() - started:>12.1f} s")
        machine(arena, "after")


def machine(arena: Arena, when: str) -> None:
    """The machine's pace: a fixed loop, and one durable write where the database lies."""
    arena.told.say(f"machine {when}")
    arena.told.figure(Figure(f"python_loop_{when}", loop_ms(), "ms"), note="fixed pure-Python loop")
    durable = Figure(f"fdatasync_{when}", fdatasync_ms(arena.stage.folder), "ms")
    arena.told.figure(durable, note="4 KB appended, durable")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.load.bench", description="The gateway beside its peers")
    parser.add_argument("--only", choices=tuple(AREAS), help="one area")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout, the text on stderr")
    parser.add_argument("--top", type=int, default=0, help="with the area calls: print the N most called functions")
    asked = parser.parse_args()
    told = Told(as_json=asked.json, top=asked.top)
    started = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(told, [asked.only] if asked.only else list(AREAS)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("bench interrupted", file=sys.stderr)
        return 130
    except BenchFailed as failed:
        print(f"bench failed: {failed}", file=sys.stderr)
        return 2
    told.say(f"done in {time.perf_counter() - started:.0f} s")
    if told.missed:
        told.say(f"MISSED targets: {', '.join(told.missed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
