"""What one more source costs: the same query over one to four datasets, as a least-squares slope."""

from __future__ import annotations

from tests.load.arena import Arena
from tests.load.measure import Figure, Goal, spread
from tests.load.records import DATASETS

ROUNDS = 5
SLICE_S = 0.4
POOL = 120
"""Grants; all of them are met before it is measured."""
GOAL = Goal(most=220)


async def run(arena: Arena) -> None:
    """Four lanes to one gateway, in turn."""
    pool = arena.parties.hot[:POOL]
    lanes = [arena.query_lane(f"gateway:{n}", datasets=DATASETS[:n], pool=pool) for n in range(1, len(DATASETS) + 1)]
    costs: list[list[float]] = [[] for _ in lanes]
    async with arena.lanes(*lanes):
        for lane in lanes:
            await lane.run(0.5)
        for number in range(ROUNDS):
            order = list(enumerate(lanes))
            for position, lane in order if number % 2 == 0 else reversed(order):
                costs[position].append((await lane.run(SLICE_S)).cpu_us)
    for n, each in enumerate(costs, 1):
        arena.told.figure(Figure(f"query_{n}_sources", spread(each).median, "us/query"))
    slopes = spread(slope(list(each)) for each in zip(*costs, strict=True))
    note = f"quartiles {slopes.low:,.0f}..{slopes.high:,.0f}"
    arena.told.figure(Figure("slope_per_source", slopes.median, "us"), goal=GOAL, note=note)


def slope(values: list[float]) -> float:
    """Least squares over 1, 2, 3, …"""
    middle, mean = (len(values) + 1) / 2, sum(values) / len(values)
    above = sum((x - middle) * (y - mean) for x, y in enumerate(values, 1))
    return above / sum((x - middle) ** 2 for x in range(1, len(values) + 1))
