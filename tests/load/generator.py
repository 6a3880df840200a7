"""The load generator: raw keep-alive connections on uvloop, every reply checked, closed loop or paced.

A closed-loop slice ends by letting what is under way come back, so CPU and replies belong together exactly.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.load.feeds import Feed, Ticket
from tests.load.measure import cpu_s
from tests.load.places import BenchFailed

CONNECTIONS = 32
STALLED_S = 30.0
Check = Callable[[int, bytes, Ticket], str]
"""'' when the reply (status, body) is right for its ticket, else what is wrong."""


class Slice(NamedTuple):
    """One slice of a server: how many replies, at what cost."""

    replies: int
    cpu_s: float
    wall_s: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a reply."""
        return self.cpu_s / self.replies * 1e6


class Wire(asyncio.Protocol):
    """One connection: a request goes out, its reply comes back, the lane says what is next."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._parts, self._wanted = lane, bytearray(), 0
        self.ticket: Ticket | None = None
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def send(self, ticket: Ticket, since: float) -> None:
        """Send a request; `since` is when it was due."""
        self.ticket, self.since = ticket, since
        self.transport.write(ticket.request)

    def data_received(self, data: bytes) -> None:
        parts = self._parts
        parts += data
        if not self._wanted:
            end = parts.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(parts[:end]).lower()
            at = head.find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].partition(b"\r\n")[0]) if at >= 0 else 0
            self._wanted, self._body_at = end + 4 + length, end + 4
        if len(parts) >= self._wanted:
            status, body, ticket = int(parts[9:12]), bytes(parts[self._body_at : self._wanted]), self.ticket
            del parts[: self._wanted]
            self._wanted, self.ticket = 0, None
            if ticket is None:
                self._lane.fail("a reply to no request")
            else:
                self._lane.replied(self, status, body, ticket)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ticket is not None:
            self._lane.fail(f"connection lost: {exc}")


@dataclass
class Lane:
    """The way to one server. `pid` is its process, `check` holds every reply to what was asked."""

    name: str
    port: int
    pid: int
    feed: Feed
    check: Check
    _wires: list[Wire] = field(default_factory=list)
    _idle: list[Wire] = field(default_factory=list)
    _due: deque[float] = field(default_factory=deque)
    _latencies: list[float] = field(default_factory=list)
    _until: float = 0.0
    _replies: int = 0
    _last: int = 200
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _error: str = ""
    _kept: bytes = b""

    async def open(self, connections: int = CONNECTIONS) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, wire = await loop.create_connection(lambda: Wire(self), "127.0.0.1", self.port)
            self._wires.append(wire)
        self._idle = list(self._wires)

    def close(self) -> None:
        """Disconnect."""
        for wire in self._wires:
            wire.transport.close()
        self._wires, self._idle = [], []

    async def run(self, seconds: float) -> Slice:
        """A closed-loop slice over every connection."""
        self.feed.fill(int(self._last * 1.3))
        before, started = cpu_s(self.pid), time.perf_counter()
        self._until, self._replies = started + seconds, 0
        await self._drive()
        self._last = max(50, self._replies)
        return Slice(self._replies, cpu_s(self.pid) - before, time.perf_counter() - started)

    async def _drive(self) -> None:
        self._error = ""
        self._done.clear()
        wires, self._idle = self._idle, []
        for wire in wires:
            wire.send(self.feed.take(), 0.0)
        await self._finished()

    async def one(self, ticket: Ticket) -> bytes:
        """A single request; the reply's body."""
        self._until, self._error = 0.0, ""
        self._done.clear()
        self._idle.pop().send(ticket, 0.0)
        await self._finished()
        return self._kept

    async def sequence(self, number: int) -> None:
        """So many requests, one after another."""
        for _ in range(number):
            await self.one(self.feed.take())

    async def paced(self, rate: float, seconds: float) -> list[float]:
        """Open loop: so many requests a second whatever comes back; milliseconds of each, waiting included."""
        number = int(rate * seconds)
        self.feed.fill(number)
        self._latencies, self._error, self._until = [], "", 0.0
        start = time.perf_counter()
        for each in range(number):
            due = start + each / rate
            while (left := due - time.perf_counter()) > 0.0005:
                await asyncio.sleep(left)
            if self._idle:
                self._idle.pop().send(self.feed.take(), time.perf_counter())
            else:
                self._due.append(time.perf_counter())
        self._done.clear()
        if len(self._idle) < len(self._wires):
            await self._finished()
        if self._error:
            raise BenchFailed(f"{self.name}: {self._error}")
        return self._latencies

    def replied(self, wire: Wire, status: int, body: bytes, ticket: Ticket) -> None:
        """A reply came: check it, then send the next request or rest."""
        wrong = self.check(status, body, ticket)
        if wrong:
            self.fail(f"{wrong}: {status} {body[:300]!r}")
            return
        self._replies += 1
        self._kept = body
        now = time.perf_counter()
        if wire.since:
            self._latencies.append((now - wire.since) * 1000)
        if self._due:
            wire.send(self.feed.take(), self._due.popleft())
        elif now < self._until:
            wire.send(self.feed.take(), 0.0)
        else:
            self._idle.append(wire)
            if len(self._idle) == len(self._wires):
                self._done.set()

    def fail(self, why: str) -> None:
        """Something is wrong: the run is worth nothing."""
        self._error = self._error or why
        self._until = 0.0
        self._done.set()

    async def _finished(self) -> None:
        try:
            async with asyncio.timeout(STALLED_S):
                await self._done.wait()
        except TimeoutError:
            raise BenchFailed(f"{self.name}: no reply for {STALLED_S:g} s") from None
        if self._error:
            raise BenchFailed(f"{self.name}: {self._error}")
