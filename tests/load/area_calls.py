"""Profiled calls a query: the one figure without noise. Two runs agree within about 1 %, on any machine.

The server runs under cProfile on uvloop; 60 sequential requests warm it up, the next 200 are counted.
"""

from __future__ import annotations

import signal

from tests.load.arena import Arena
from tests.load.measure import Figure, Goal

WARM, COUNTED = 60, 200
GOAL = Goal(most=1_700, stretch=1_000)


async def run(arena: Arena) -> None:
    """The gateway, and `limit` by the same counter."""
    names = ("gateway", "limit")
    running = {name: arena.servers.get(name) for name in names}
    arena.servers |= dict(zip(names, arena.start([[name, "--counted"] for name in names]), strict=True))
    try:
        counted = {name: await _count(arena, name) for name in names}
    finally:
        for name in names:
            arena.servers[name].stop()
        arena.servers |= {name: server for name, server in running.items() if server is not None}
    calls, floor = counted["gateway"], counted["limit"]
    arena.told.figure(Figure("limit_calls_per_query", floor, "calls"))
    figure = Figure("calls_per_query", calls, "calls")
    arena.told.figure(figure, goal=GOAL, note=f"limit by the same counter: {floor:,.0f}")


async def _count(arena: Arena, name: str) -> float:
    bank = arena.parties.hot[0].bank
    lane = arena.query_lane(name, pool=[given for given in arena.parties.hot if given.bank is bank])
    server = arena.servers[name]
    async with arena.lanes(lane, connections=1):
        await lane.sequence(WARM)
        before = server.ask(signal.SIGUSR1)
        await lane.sequence(COUNTED)
        after = server.ask(signal.SIGUSR1)
    _list(arena, name, before["functions"], after["functions"])
    return float(after["total"] - before["total"]) / COUNTED


def _list(arena: Arena, name: str, before: dict[str, list[float]], after: dict[str, list[float]]) -> None:
    """The functions by their own time; under the profiler small functions look dearer than they are."""
    nothing = [0.0, 0.0]
    grown = [
        (function, calls - before.get(function, nothing)[0], own_s - before.get(function, nothing)[1])
        for function, (calls, own_s) in after.items()
    ]
    for function, calls, own_s in sorted(grown, key=lambda each: -each[2])[: arena.told.top]:
        arena.told.say(f"  {name:<8}{calls / COUNTED:>8.2f} calls{own_s / COUNTED * 1e6:>9.1f} us  {function}")
