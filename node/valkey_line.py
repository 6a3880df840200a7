"""One multiplexed connection to Valkey for the hot path: commands of many requests in flight on it, answers in order.

redis-py serves everything else; its pool and parser cost 60 to 160 µs a call here, this 10 to 25
(reference/performance.md §4). The bytes are packed and parsed by hiredis. A broken connection fails what is in flight
and is made again by the next command; nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

CONNECT_TIMEOUT_S = 2.0


class _Line(asyncio.Protocol):
    """Commands out, answers in, first asked first answered."""

    def __init__(self) -> None:
        self._parser = hiredis.Reader()
        self._pending: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None

    @property
    def open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, *command: str | int | bytes) -> asyncio.Future[Any]:
        """Send one command; await its answer. Raises RedisError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(Lost("no connection"))
            return future
        self._pending.append(future)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type] # its types name a tuple of one
        return future

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers, whole or in part."""
        self._parser.feed(data)
        try:
            while (answer := self._parser.gets()) is not False:
                self._give(answer)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """What was in flight has an unknown outcome: it fails."""
        self._transport = None
        while self._pending:
            self._give(Lost("the connection broke"))

    def _give(self, answer: Any) -> None:
        if not self._pending:
            self.close()
            return
        future = self._pending.popleft()
        if future.done():
            return
        if isinstance(answer, RedisError):
            future.set_exception(answer)
        elif isinstance(answer, hiredis.HiredisError):
            future.set_exception(RedisError(str(answer)))
        else:
            future.set_result(answer)


class ValkeyLine:
    """A line to the Valkey of a URL (unix://, redis://, rediss://), with its password, user and database number."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._line: _Line | None = None
        self._turn = asyncio.Lock()

    async def script(self, sha: str, text: str, keys: list[str], arguments: list[str]) -> Any:
        """EVALSHA; loads the script when this Valkey does not know it (new, restarted or flushed). Raises
        RedisError.
        """
        line = self._line
        if line is None or not line.open:
            line = await self._connect()
        try:
            return await line.send("EVALSHA", sha, len(keys), *keys, *arguments)
        except RedisError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await line.send("EVAL", text, len(keys), *keys, *arguments)

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _connect(self) -> _Line:
        async with self._turn:
            if self._line is not None and self._line.open:
                return self._line
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                line = await self._dial()
                await self._introduce(line)
            self._line = line
            return line

    async def _dial(self) -> _Line:
        loop, parts = asyncio.get_running_loop(), self._parts
        if parts.scheme == "unix":
            _, made = await loop.create_unix_connection(_Line, unquote(parts.path))
            return made
        tls = ssl.create_default_context() if parts.scheme == "rediss" else None
        _, made = await loop.create_connection(_Line, parts.hostname or "localhost", parts.port or 6379, ssl=tls)
        return made

    async def _introduce(self, line: _Line) -> None:
        parts = self._parts
        if parts.password is not None:
            user = [unquote(parts.username)] if parts.username else []
            await line.send("AUTH", *user, unquote(parts.password))
        number = parts.path.strip("/") if parts.scheme != "unix" else ""
        if number.isdigit() and number != "0":
            await line.send("SELECT", number)
