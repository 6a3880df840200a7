"""The hot path's transport: kept-alive connections read by httptools (llhttp), without a client library's models.

A fraction of aiohttp's cost per call (reference/performance.md §5); held by the same suite as the other makings, and
by `tests/adapters/test_pooled.py` for what only a reader of raw bytes can get wrong. It is stricter than they are: an
answer that states neither a length nor chunks cannot be told from a truncated one and counts as broken, and a
connection that says anything unasked is closed. Departments that need more (HTTP/1.0) are asked through aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import httptools

from adapters.errors import Oversize, SourceFailure, TimedOut, Unreachable
from adapters.transport import JSON, KEEPALIVE_S, MAX_CONNECTIONS, Answer, Call, Endpoint

MAX_HEAD = 65_536
"""Bytes before the body; a department's head is a few hundred."""
_DYING = "the connection died before an answer"


class _Died(Unreachable):
    """A reused connection was closed before any byte of an answer: the question may be asked once more."""


class _Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self, pool: PooledTransport) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parts: list[bytes] = []
        self._room = self._head = 0
        self._framed = self._fresh = False
        self.idle_since = 0.0
        self.used = False

    @property
    def open(self) -> bool:
        """Whether it can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, message: bytes, max_bytes: int, waiter: asyncio.Future[Answer]) -> None:
        """Send one question; the waiter gets the whole answer or a SourceFailure."""
        self._waiter, self._room, self._head = waiter, max_bytes, 0
        self._parts, self._framed, self._fresh = [], False, True
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is None:
            self.fail(_Died(cause=_DYING))
        else:
            self._transport.write(message)

    def fail(self, failure: SourceFailure) -> None:
        """End the question and the connection: after a fault nobody knows what the next bytes belong to."""
        waiter, self._waiter = self._waiter, None
        if self._transport is not None:
            self._transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(failure)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; unasked bytes end the connection."""
        if self._waiter is None or self._parser is None:
            self.fail(Unreachable(cause="unasked bytes"))
            return
        self._fresh = False
        if not self._framed:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(Unreachable(cause=type(error).__name__))
            return
        if not self._framed and self._head > MAX_HEAD:
            self.fail(Unreachable(cause="head too long"))

    def connection_lost(self, _error: Exception | None) -> None:
        """Closed by either side."""
        self._transport = None
        dying = self._fresh and self.used
        self.fail(_Died(cause=_DYING) if dying else Unreachable(cause="connection closed"))
        self._pool.forget(self)

    # httptools

    def on_message_begin(self) -> None:
        """A second answer to one question ends the connection."""
        if self._parser is None:
            self.fail(Unreachable(cause="unasked bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only what frames the body matters."""
        lowered = name.lower()
        if lowered == b"content-length":
            self._framed = True
            if value.isdigit() and int(value) > self._room:
                self.fail(Oversize(cause="declared length"))
        elif lowered == b"transfer-encoding":
            self._framed = True

    def on_headers_complete(self) -> None:
        """A body must say where it ends."""
        if not self._framed and self._status() not in (204, 304) and self._status() >= 200:
            self.fail(Unreachable(cause="no length and no chunks"))

    def on_body(self, body: bytes) -> None:
        """A part of the body, never more than there is room for."""
        self._room -= len(body)
        if self._room < 0:
            self.fail(Oversize(cause="read length"))
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """The whole answer. An interim one (1xx) is passed over."""
        status = self._status()
        waiter = self._waiter
        if waiter is None or self._parser is None:
            return
        if status < 200:
            self._framed = False
            return
        self._waiter = None
        kept = self._parser.should_keep_alive()
        self._parser = None
        parts = self._parts
        if not waiter.done():
            waiter.set_result(Answer(status, parts[0] if len(parts) == 1 else b"".join(parts)))
        self._pool.give_back(self, kept=kept)

    def _status(self) -> int:
        return 0 if self._parser is None else self._parser.get_status_code()


class PooledTransport:
    """The third making of `adapters.transport.Transport`."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.base_url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        standing = f"Host: {parts.netloc}\r\nX-Api-Key: {endpoint.key}\r\nContent-Type: {JSON}\r\n"
        self._standing = f"{standing}Accept: {JSON}\r\nAccept-Encoding: identity\r\n".encode("latin-1")
        if b"\r" in endpoint.key.encode() or b"\n" in endpoint.key.encode():
            raise ValueError("a department's key is one line")
        self._tls: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._all: set[_Connection] = set()
        self._making = 0
        self._open = False

    async def open(self) -> None:
        """See Transport."""
        if self._secure:
            self._tls = ssl.create_default_context()
        self._open = True

    async def call(self, call: Call) -> Answer:
        """See Transport."""
        if not self._open:
            raise Unreachable(cause="transport not open")
        connection = self._take()
        if connection is not None:
            try:
                return await self._ask(connection, call)
            except _Died:
                pass
        return await self._ask(await self._connect(call.deadline), call)

    async def close(self) -> None:
        """See Transport."""
        self._open = False
        for connection in list(self._all):
            connection.fail(Unreachable(cause="transport closed"))
        self._idle.clear()
        while self._waiting:
            self._wake_one()

    def forget(self, connection: _Connection) -> None:
        """A connection is gone; somebody else may open one."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_one()

    def give_back(self, connection: _Connection, *, kept: bool) -> None:
        """A connection has answered."""
        connection.used = True
        if kept and self._open and connection.open:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._wake_one()
        else:
            connection.fail(Unreachable(cause="not kept"))

    async def _ask(self, connection: _Connection, call: Call) -> Answer:
        loop = asyncio.get_running_loop()
        remaining_ms = max(0, int((call.deadline - loop.time()) * 1000))
        head = b"POST %s HTTP/1.1\r\n%sX-Permit: %s\r\nX-Deadline-Ms: %d\r\nContent-Length: %d\r\n\r\n" % (
            call.path.encode("ascii"),
            self._standing,
            call.permit_id.encode("ascii"),
            remaining_ms,
            len(call.body),
        )
        waiter: asyncio.Future[Answer] = loop.create_future()
        timer = loop.call_at(call.deadline, connection.fail, TimedOut())  # the answer may come late: never to another
        connection.ask(head + call.body, call.max_bytes, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.fail(Unreachable(cause="cancelled"))
            raise
        finally:
            timer.cancel()

    def _take(self) -> _Connection | None:
        """The youngest idle connection that is still fit."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.open and now - connection.idle_since < KEEPALIVE_S:
                return connection
            connection.fail(Unreachable(cause="idle too long"))
        return None

    async def _connect(self, deadline: float) -> _Connection:
        """A new connection, or the next one given back when there are enough of them."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                while self._open and len(self._all) + self._making >= MAX_CONNECTIONS:
                    turn: asyncio.Future[None] = loop.create_future()
                    self._waiting.append(turn)
                    await turn
                    if (given := self._take()) is not None:
                        return given
                return await self._make(loop)
        except TimeoutError:
            raise TimedOut from None
        except OSError as error:
            raise Unreachable(cause=type(error).__name__) from None

    async def _make(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        if not self._open:
            raise Unreachable(cause="transport not open")
        self._making += 1
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self), self._host, self._port, ssl=self._tls
            )
        finally:
            self._making -= 1
        self._all.add(connection)
        return connection

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
