"""The authorization server's doors: CPU of a pushed request and of a token request, through FastAPI and Authlib."""

from __future__ import annotations

import redis

from tests.load.arena import ISSUER, Arena
from tests.load.checks import push_check, token_check
from tests.load.feeds import code_maker, push_maker, refresh_maker
from tests.load.generator import Slice
from tests.load.measure import Figure, spread
from tests.load.records import MAIN

ROUNDS = 4
SLICE_S = 0.4
CONNECTIONS = 16
CODE_MS = 60_000


async def run(arena: Arena) -> None:
    """Three lanes to one gateway, in turn."""
    store, hot = redis.Redis.from_url(arena.stage.valkey), arena.parties.hot
    keep = lambda key, value: store.set(key, value, px=CODE_MS)  # noqa: E731
    lanes = {
        "par_request": arena.lane("gateway:par", push_maker(ISSUER, hot, MAIN), push_check),
        "token_by_code": arena.lane("gateway:code", code_maker(ISSUER, hot, keep), token_check),
        "token_by_refresh": arena.lane("gateway:refresh", refresh_maker(ISSUER, hot), token_check),
    }
    slices: dict[str, list[Slice]] = {name: [] for name in lanes}
    async with arena.lanes(*lanes.values(), connections=CONNECTIONS):
        for lane in lanes.values():
            await lane.run(0.3)
        for number in range(ROUNDS):
            order = list(lanes.items())
            for name, lane in order if number % 2 == 0 else reversed(order):
                slices[name].append(await lane.run(SLICE_S))
    store.close()
    for name, found in slices.items():
        rate = spread(each.replies / each.wall_s for each in found).median
        cost = spread(each.cpu_us for each in found).median
        arena.told.figure(Figure(name, cost, "us/request"), note=f"{rate:,.0f} replies/s")
