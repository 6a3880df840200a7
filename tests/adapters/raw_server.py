"""A server on loopback that says exactly the bytes it is told to, and remembers what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from adapters.pooled import PooledTransport
from adapters.transport import Answer, Call, Endpoint


class Line:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "RawServer") -> None:
        self._reader, self._writer, self._server = reader, writer, server
        server.lines += 1
        self.number = server.lines
        self.asked = 0
        self.socket: int = writer.get_extra_info("socket").fileno()

    async def question(self) -> bytes:
        """The next question's body; its head is kept in `server.heads`."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
        body = await self._reader.readexactly(length)
        self.asked += 1
        self._server.heads.append(head)
        return body

    async def say(self, *parts: bytes) -> None:
        """Each part in a segment of its own, as far as the loop allows."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def ended(self) -> None:
        """Wait until the client hangs up."""
        while await self._reader.read(65536):
            pass

    def hang_up(self) -> None:
        """Without a word."""
        self._writer.close()


Script = Callable[[Line], Awaitable[None]]


class RawServer:
    """Runs one script per connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.heads: list[bytes] = []
        self.lines = self.now = self.most = self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self._script(Line(reader, writer, self))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.now -= 1
            self.tasks.discard(task)
            writer.close()

    async def silent(self) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(2):
            while self.now:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def asking(
    script: Script, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[PooledTransport, RawServer]]:
    """A pool that is open towards a server that runs `script`."""
    raw = RawServer(script)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=tls, backlog=256)
    raw.port = server.sockets[0].getsockname()[1]
    pool = PooledTransport(Endpoint(f"{'https' if tls else 'http'}://127.0.0.1:{raw.port}", "k"))
    await pool.open()
    try:
        yield pool, raw
    finally:
        await pool.close()
        for task in list(raw.tasks):
            task.cancel()
        while raw.tasks:
            await asyncio.sleep(0)
        server.close()


def always(*parts: bytes, end: bool = False) -> Script:
    """The same to every question."""

    async def script(line: Line) -> None:
        while True:
            await line.question()
            await line.say(*parts)
            if end:
                return

    return script


async def ask(pool: PooledTransport, body: bytes = b"{}", *, within: float = 2.0, most: int = 1000) -> Answer:
    """One question."""
    deadline = asyncio.get_running_loop().time() + within
    return await pool.call(Call("/v1/records", body, "qry_1", deadline, most))
