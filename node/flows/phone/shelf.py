"""The shelf: short-lived values of the phone in Valkey, with one typed failure when it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from node.flows.phone.errors import ShelfDown

TIMEOUT_S = 2.0
"""A page that waits longer for Valkey is better answered with an error page."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Texts under keys with a time to live. Every method raises ShelfDown when Valkey does not answer."""

    valkey: Redis

    async def put(self, key: str, text: str, ttl_s: int) -> None:
        """Keep a text for so many seconds."""
        await _answer(self.valkey.set(key, text, ex=ttl_s))

    async def get(self, key: str) -> str | None:
        """The text, or None."""
        return _text(await _answer(self.valkey.get(key)))

    async def renew(self, key: str, ttl_s: int) -> str | None:
        """The text, its time to live set anew."""
        return _text(await _answer(self.valkey.getex(key, ex=ttl_s)))

    async def take(self, key: str) -> str | None:
        """The text, which is gone afterwards: exactly one caller gets it."""
        return _text(await _answer(self.valkey.getdel(key)))

    async def drop(self, *keys: str) -> None:
        """Forget."""
        await _answer(self.valkey.delete(*keys))

    async def claim(self, key: str, text: str, ttl_s: int) -> bool:
        """Keep a text if nothing is kept under the key yet; True for the one who did."""
        return bool(await _answer(self.valkey.set(key, text, nx=True, ex=ttl_s)))

    async def count(self, key: str, ttl_s: int) -> int:
        """Count one more in a window that begins with the first."""
        number = int(await _answer(self.valkey.incr(key)))
        if number == 1:
            await _answer(self.valkey.expire(key, ttl_s))
        return number

    async def uncount(self, key: str) -> None:
        """Take one off: what was counted was no failure."""
        await _answer(self.valkey.decr(key))

    async def add(self, key: str, member: str, ttl_s: int) -> None:
        """Add to a set that lives at least so long."""
        await _answer(self.valkey.sadd(key, member))
        await _answer(self.valkey.expire(key, ttl_s))

    async def remove(self, key: str, member: str) -> None:
        """Take out of a set."""
        await _answer(self.valkey.srem(key, member))

    async def members(self, key: str) -> list[str]:
        """The members of a set, sorted."""
        return sorted(_text(each) or "" for each in await _answer(self.valkey.smembers(key)))


async def _answer(call: Awaitable[Any] | Any) -> Any:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await call
    except (RedisError, OSError, TimeoutError) as error:
        raise ShelfDown(type(error).__name__) from error


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
