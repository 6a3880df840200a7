"""CPU a query: the gateway with the whole law on, beside peers that check nothing (plain, limit) or do it naively."""

from __future__ import annotations

import time

from tests.load.arena import ISSUER, Arena
from tests.load.checks import demand_proven, demand_same
from tests.load.feeds import query_maker
from tests.load.generator import Lane, Slice
from tests.load.measure import Figure, Goal, cpu_s, spread
from tests.load.parties import HOT
from tests.load.records import MAIN

ROUNDS = 7
SLICE_S = {"gateway": 1.0, "plain": 0.7, "limit": 0.7, "naive": 0.4, "gateway:first": 0.5}
"""The gateway remembers a bank for one second, so a slice of one second holds as many look-ups as any second does. A
naive slice lasts longer than it says: what is under way at its end is waited for."""
WARM_S, WARM_MOST_S = 0.5, 6.0
GOALS = {
    "plain": Goal(least=2.0, stretch=3.0),
    "limit": Goal(least=0.7, stretch=1.0),
    "naive": Goal(least=15, stretch=25),
}


async def run(arena: Arena) -> None:
    """Warm up, hold the answers against each other, measure in turn, tell."""
    ours = arena.query_lane("gateway")
    first = arena.query_lane("gateway:first", pool=arena.parties.cold)
    lanes = [ours, *(arena.query_lane(name) for name in GOALS), first]
    async with arena.lanes(*lanes):
        await _warm(lanes)
        await _same_answers(arena, lanes)
        before, database = await arena.journal_counts(), []
        slices: dict[str, list[Slice]] = {lane.name: [] for lane in lanes}
        for number in range(ROUNDS):
            for lane in lanes if number % 2 == 0 else reversed(lanes):
                stood = cpu_s(arena.stage.postgres.pid)
                slices[lane.name].append(await lane.run(SLICE_S[lane.name]))
                if lane is ours:
                    database.append((cpu_s(arena.stage.postgres.pid) - stood) / slices[lane.name][-1].replies * 1e6)
        after = await arena.journal_counts()
    _tell(arena, slices)
    beside = Figure("gateway_postgres", spread(database).median, "us/query")
    arena.told.figure(beside, note="CPU of PostgreSQL for the gateway")
    answered = sum(each.replies for name in ("gateway", "gateway:first") for each in slices[name])
    commits = Figure("commits_per_query", (after[1] - before[1]) / answered, "commits")
    arena.told.figure(commits, note="REQ and REL, grouped")


async def _warm(lanes: list[Lane]) -> None:
    """Every hot grant is met once by the gateway, if the machine is quick enough; the others find their stride."""
    for lane in lanes:
        met, until = 0, time.perf_counter() + WARM_MOST_S
        while met < (HOT if lane.name == "gateway" else 1) and time.perf_counter() < until:
            met += (await lane.run(WARM_S)).replies


async def _same_answers(arena: Arena, lanes: list[Lane]) -> None:
    """One enterprise, asked of everybody: the same records, and a receipt that proves the gateway's."""
    given = arena.parties.hot[7]
    ours, *peers = lanes[:-1]
    answer = await ours.one(query_maker(ISSUER, [given], MAIN)())
    demand_proven(answer, arena.vkey)
    for lane in peers:
        asked = MAIN[:1] if lane.name == "plain" else MAIN
        theirs = await lane.one(query_maker(ISSUER, [given], asked, jwt=lane.name == "naive")())
        demand_same(lane.name, answer, theirs)


def _tell(arena: Arena, slices: dict[str, list[Slice]]) -> None:
    told, ours = arena.told, slices["gateway"]
    for name, theirs in slices.items():
        label = {"gateway": "gateway_query", "gateway:first": "gateway_first_query"}.get(name, f"{name}_query")
        rate = spread(each.replies / each.wall_s for each in theirs).median
        cost = spread(each.cpu_us for each in theirs)
        busy = spread(each.cpu_s / each.wall_s for each in theirs).median
        note = f"{rate:,.0f} replies/s, {busy:.0%} of a CPU, quartiles {cost.low:,.0f}..{cost.high:,.0f}"
        told.figure(Figure(label, cost.median, "us/query"), note=note)
    for name, goal in GOALS.items():
        ratio = spread(theirs.cpu_us / mine.cpu_us for mine, theirs in zip(ours, slices[name], strict=True))
        figure = Figure("gateway_query", spread(each.cpu_us for each in ours).median, "us/query", name, ratio.median)
        told.figure(figure, goal=goal, quartiles=ratio)
    fresh = slices["gateway:first"]
    ratio = spread(theirs.cpu_us / mine.cpu_us for mine, theirs in zip(fresh, slices["limit"], strict=True))
    first = spread(each.cpu_us for each in fresh).median
    note = "token and grant not in memory, as at a first query"
    told.figure(Figure("gateway_first_query", first, "us/query", "limit", ratio.median), quartiles=ratio, note=note)
