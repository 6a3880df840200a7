"""The hot path's transport: kept-alive connections read by httptools (llhttp), without a client library's models.

A fraction of aiohttp's cost per call (reference/performance.md §5); held by the same suite as the other makings, and
by `tests/adapters/test_pooled.py` for what only a reader of raw bytes can get wrong. It is stricter than they are: an
answer that states neither a length nor chunks cannot be told from a truncated one and counts as broken, and a
connection that says anything unasked is closed. Departments that need more (HTTP/1.0) are asked through aiohttp.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from typing import cast

import httptools

from adapters.errors import Oversize, SourceFailure, TimedOut, Unreachable
from adapters.question import address, words
from adapters.transport import KEEPALIVE_S, MAX_CONNECTIONS, Answer, Call, Endpoint

MAX_HEAD = 65_536
"""Bytes before the body; a department's head is a few hundred."""
_ONE_BYTE_CHUNK = 6
"""What a byte of a body costs at most in chunks; whoever sends more sends endless extensions or trailers."""
_CLOSING_TURNS = 100  # of the loop, until aborted connections are gone; two or three are enough
_DYING = "the connection died before an answer"


class _Died(Unreachable):
    """A reused connection was closed before any byte of an answer: the question may be asked once more."""


class _Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self, pool: PooledTransport) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._arrived = select.poll()
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parts: list[bytes] = []
        self._room = self._left = 0
        self._framed = self._headed = self._fresh = self._kept = False
        self.idle_since = 0.0
        self.used = False

    @property
    def open(self) -> bool:
        """Neither lost nor being closed."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, message: bytes, max_bytes: int, waiter: asyncio.Future[Answer]) -> None:
        """Send one question; the waiter gets the whole answer or a SourceFailure."""
        self._waiter, self._room, self._left = waiter, max_bytes, MAX_HEAD
        self._parts, self._framed, self._headed, self._fresh = [], False, False, True
        self._parser = httptools.HttpResponseParser(self)
        # Bytes or an end that the loop has not read yet are no answer to this. (TLS may speak before a first question.)
        if self._transport is None or self._transport.is_closing() or (self.used and self._arrived.poll(0)):
            self.fail(_Died(cause=_DYING))
        else:
            self._transport.write(message)

    def fail(self, failure: SourceFailure, only: asyncio.Future[Answer] | None = None) -> None:
        """End the connection and its question, if that still is `only`: nobody knows whose the next bytes are."""
        if only is not None and only is not self._waiter:
            return
        waiter, self._waiter = self._waiter, None
        if self._transport is not None:
            self._transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(failure)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._arrived.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; unasked bytes end the connection."""
        if self._waiter is None or self._parser is None:
            self.fail(Unreachable(cause="unasked bytes"))
            return
        self._fresh = False
        self._left -= len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(Unreachable(cause=type(error).__name__))
            return
        if self._left < 0 and self._parser is not None:
            self.fail(Oversize(cause="chunks or trailers") if self._headed else Unreachable(cause="head too long"))

    def connection_lost(self, _error: Exception | None) -> None:
        """Closed by either side."""
        self._transport = None
        self.fail(_Died(cause=_DYING) if self._fresh and self.used else Unreachable(cause="connection closed"))
        self._pool.forget(self)

    def on_message_begin(self) -> None:
        """A second answer to one question ends the connection."""
        if self._parser is None:
            self.fail(Unreachable(cause="unasked bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only what frames the body matters. A length twice, or beside chunks, is refused by llhttp."""
        lowered = name.lower()
        if lowered == b"content-length":
            self._framed = True
            if int(value) > self._room:
                self.fail(Oversize(cause="declared length"))
        elif lowered == b"transfer-encoding":
            if self._framed or value.strip().lower() != b"chunked":
                self.fail(Unreachable(cause="transfer encoding"))
            self._framed = True

    def on_headers_complete(self) -> None:
        """A body must say where it ends."""
        if self._parser is None:
            return
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        self._kept = version == "1.1"
        if status < 100 or status == 101 or version not in ("1.1", "1.0"):
            self.fail(Unreachable(cause="status line"))
        elif status >= 200:
            if not self._framed and status not in (204, 304):
                self.fail(Unreachable(cause="no length and no chunks"))
            self._headed = True
            self._left += _ONE_BYTE_CHUNK * self._room

    def on_body(self, body: bytes) -> None:
        """A part of the body, never more than there is room for."""
        self._room -= len(body)
        if self._room < 0:
            self.fail(Oversize(cause="read length"))
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """The whole answer. An interim one (1xx) is passed over."""
        waiter = self._waiter
        if waiter is None or self._parser is None or not self._headed:
            self._framed = False
            return
        status, self._waiter = self._parser.get_status_code(), None
        kept = self._kept and self._parser.should_keep_alive()
        self._parser = None
        parts = self._parts
        if not waiter.done():
            waiter.set_result(Answer(status, parts[0] if len(parts) == 1 else b"".join(parts)))
        self._pool.give_back(self, kept=kept)


class PooledTransport:
    """The third making of `adapters.transport.Transport`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._secure, self._host, self._port, self._standing = address(endpoint)
        self._tls: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[_Connection | None]] = deque()
        self._bounds: set[asyncio.Timeout] = set()
        self._all: set[_Connection] = set()  # open, or being opened
        self._promised = 0  # rooms for a connection that somebody was given and has not yet used
        self._open = False

    async def open(self) -> None:
        """See Transport."""
        if self._secure:
            self._tls = ssl.create_default_context()
        self._open = True

    async def call(self, call: Call) -> Answer:
        """See Transport. Raises ValueError for a path or a permit's id that is not one word of visible ASCII."""
        path, permit_id = words(call)
        head = b"POST %s HTTP/1.1\r\n%sX-Permit: %s\r\n" % (path, self._standing, permit_id)
        connection = self._take() or await self._connect(call.deadline)
        try:
            return await self._ask(connection, head, call)
        except _Died:
            return await self._ask(await self._connect(call.deadline, new=True), head, call)

    async def close(self) -> None:
        """See Transport."""
        self._open = False
        for connection in list(self._all):
            connection.fail(Unreachable(cause="transport closed"))
        for bound in self._bounds:  # whoever waits or connects
            if not bound.expired():
                bound.reschedule(0.0)
        for _ in range(_CLOSING_TURNS):
            if self._all or self._bounds:
                await asyncio.sleep(0)

    def forget(self, connection: _Connection) -> None:
        """A connection is gone; somebody else may open one."""
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._all:
            self._all.remove(connection)
            self._promised += self._hand_on(None)

    def give_back(self, connection: _Connection, *, kept: bool) -> None:
        """A connection has answered."""
        connection.used = True
        if not (kept and self._open and connection.open):
            connection.fail(Unreachable(cause="not kept"))
        elif not self._hand_on(connection):
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    async def _ask(self, connection: _Connection, head: bytes, call: Call) -> Answer:
        loop = asyncio.get_running_loop()
        remaining_ms = max(0, int((call.deadline - loop.time()) * 1000))
        lines = b"X-Deadline-Ms: %d\r\nContent-Length: %d\r\n\r\n" % (remaining_ms, len(call.body))
        waiter: asyncio.Future[Answer] = loop.create_future()
        timer = loop.call_at(call.deadline, connection.fail, TimedOut(), waiter)  # a late answer is nobody's
        connection.ask(head + lines + call.body, call.max_bytes, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.fail(Unreachable(cause="cancelled"), waiter)
            if not waiter.cancelled():
                waiter.exception()  # seen, so that nobody complains of it
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

    async def _connect(self, deadline: float, *, new: bool = False) -> _Connection:
        """A new connection or, unless it must be new, the next one given back when there are enough of them."""
        if not self._open:
            raise Unreachable(cause="transport not open")
        bound = asyncio.timeout_at(deadline)
        try:
            async with bound:
                self._bounds.add(bound)
                while len(self._all) + self._promised >= MAX_CONNECTIONS:
                    if (given := await self._turn(first=new)) is None:
                        break
                    if not new:
                        return given
                    given.fail(Unreachable(cause="replaced"))  # its room comes to the first in the queue
                else:
                    self._promised += 1
                return await self._make()
        except (OSError, UnicodeError) as error:
            if bound.expired() and self._open:
                raise TimedOut from None
            raise Unreachable(cause=type(error).__name__) from None
        finally:
            self._bounds.discard(bound)

    async def _turn(self, *, first: bool) -> _Connection | None:
        """Wait for a connection, or None: the promise of room for a new one."""
        turn: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            elif (given := turn.result()) is not None:
                self.give_back(given, kept=True)
            else:
                self._promised += self._hand_on(None) - 1
            raise

    async def _make(self) -> _Connection:
        made, connection = False, _Connection(self)
        self._promised -= 1
        self._all.add(connection)
        try:
            connecting = asyncio.get_running_loop().create_connection
            await connecting(lambda: connection, self._host, self._port, ssl=self._tls)
            made = connection.open
        finally:
            if not made:  # uvloop tells a connection of a cancelled call neither that it is closing nor that it is lost
                self.forget(connection)
        return connection

    def _hand_on(self, free: _Connection | None) -> bool:
        """A free connection, or room for one, goes to the call that has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(free)
                return True
        return False
