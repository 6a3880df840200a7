"""When Valkey is away: a typed failure, quickly, and never a guess."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from node.flows.phone.errors import ShelfDown
from node.flows.phone.sessions import Sessions
from node.flows.phone.shelf import Shelf


async def test_a_shelf_without_valkey_says_so() -> None:
    valkey = Redis(unix_socket_path="/nonexistent/valkey.sock")
    shelf = Shelf(valkey)
    for call in (shelf.get("a"), shelf.claim("a", "b", 1), shelf.take("a"), shelf.members("a"), shelf.count("a", 1)):
        with pytest.raises(ShelfDown):
            await call
    with pytest.raises(ShelfDown):
        await Sessions(shelf).find("x" * 43)
    await valkey.aclose()


async def test_what_is_kept_is_claimed_once_and_taken_once(valkey: str) -> None:
    client = Redis.from_url(valkey)
    shelf = Shelf(client)
    assert await shelf.claim("k", "first", 60) and not await shelf.claim("k", "second", 60)
    assert await shelf.take("k") == "first" and await shelf.take("k") is None
    assert [await shelf.count("n", 60), await shelf.count("n", 60)] == [1, 2]
    await shelf.add("s", "b", 60)
    await shelf.add("s", "a", 60)
    assert await shelf.members("s") == ["a", "b"]
    await client.aclose()


async def test_a_session_is_kept_under_a_hash_of_its_secret(valkey: str) -> None:
    client = Redis.from_url(valkey)
    sessions = Sessions(Shelf(client))
    session = await sessions.open("sig_1", "91000000000000019G")
    assert not [key for key in await client.keys() if session.id.encode() in key]
    assert await sessions.find(session.id) == session
    await sessions.end(session)
    assert await client.keys("phone:session:*") == []
    await client.aclose()
