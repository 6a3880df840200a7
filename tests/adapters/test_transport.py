"""The contract of `adapters.transport` against raw servers on loopback that do what no well-behaved one does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from adapters import errors
from adapters.registry import load_registry
from adapters.source import DepartmentSource
from adapters.transport import AiohttpTransport, Answer, Call, Endpoint, Transport
from tests.adapters.asking import GOOD, VAT, item, permit, soon

Script = Callable[[bytes, asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, heads: list[bytes]) -> AsyncIterator[Endpoint]:
    """A server that runs `script(head, writer, number of the connection)` per request and keeps the heads."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine = connections
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
                await reader.readexactly(length)
                heads.append(head.lower())
                await script(head, writer, mine)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        # by name: cookie jars leave bare addresses alone anyway
        yield Endpoint(f"http://localhost:{server.sockets[0].getsockname()[1]}", "k")
    finally:
        server.close()


async def ask(making: type[Transport], script: Script, times: int = 1) -> tuple[list[Answer], list[bytes]]:
    """Answers, and the heads the server saw."""
    heads: list[bytes] = []
    async with serving(script, heads) as endpoint:
        transport = making(endpoint)  # type: ignore[call-arg]
        await transport.open()
        try:
            answers = [await transport.call(Call("/v1/records", b"{}", "qry_1", soon(3), 1000)) for _ in range(times)]
            return answers, heads
        finally:
            await transport.close()


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_permit_key_and_remaining_time_travel_along(making: type[Transport]) -> None:
    async def script(_head: bytes, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(reply(b"[]"))

    answers, heads = await ask(making, script, times=2)
    assert answers == [Answer(200, b"[]")] * 2
    lines = dict(line.split(b": ", 1) for line in heads[0].strip().split(b"\r\n")[1:])
    assert (lines[b"x-api-key"], lines[b"x-permit"], lines[b"accept-encoding"]) == (b"k", b"qry_1", b"identity")
    assert 0 < int(lines[b"x-deadline-ms"]) <= 3000


async def test_an_idle_connection_closed_by_the_peer_is_no_failure(making: type[Transport]) -> None:
    async def script(_head: bytes, writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            writer.write(reply(b"[1]"))
            await writer.drain()
            writer.close()  # without saying so in the head
        else:
            writer.write(reply(b"[2]"))

    answers, _ = await ask(making, script, times=2)
    assert [each.body for each in answers] == [b"[1]", b"[2]"]


async def test_cookies_redirects_and_encodings_are_left_alone(
    making: type[Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def script(_head: bytes, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(
            reply(b"\x1f\x8b", b"set-cookie: a=b", b"content-encoding: gzip", b"location: /x", status=b"307 T")
        )

    answers, heads = await ask(making, script, times=2)
    assert answers == [Answer(307, b"\x1f\x8b")] * 2
    assert not any(b"cookie" in head for head in heads)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_bound_is_not_read(making: type[Transport], chunked: bool) -> None:
    async def script(_head: bytes, writer: asyncio.StreamWriter, _number: int) -> None:
        if chunked:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(100):
                writer.write(b"64\r\n" + b" " * 100 + b"\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n ")  # and the rest never comes

    with pytest.raises(errors.Oversize):
        await ask(making, script)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n",
        b"not http at all\r\n\r\n",
    ],
    ids=["silence", "cut", "cut chunked", "not http"],
)
async def test_an_answer_that_is_not_whole_is_unreachable(making: type[Transport], sent: bytes) -> None:
    async def script(_head: bytes, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    with pytest.raises(errors.Unreachable):
        await ask(making, script)


async def test_nobody_there_is_unreachable(making: type[Transport]) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    transport = making(Endpoint(f"http://127.0.0.1:{port}", "k"))  # type: ignore[call-arg]
    await transport.open()
    with pytest.raises(errors.Unreachable):
        await transport.call(Call("/v1/records", b"{}", "qry_1", soon(3), 1000))
    await transport.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b"<html>nginx</html>", errors.Refused),
        (404, b'{"state":"no_such_path"}', errors.Refused),
        (400, b"{}", errors.Refused),
        (429, b"{}", errors.Refused),
        (302, b"", errors.Refused),
        (204, b"", errors.Malformed),
        (500, b"{}", errors.Unreachable),
        (200, b"", errors.Malformed),
        (200, b"[]", errors.Malformed),
        (200, b"[" * 900, errors.Malformed),
    ],
)
async def test_a_status_is_read_strictly(status: int, body: bytes, expected: type[errors.SourceFailure]) -> None:
    async def script(_head: bytes, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(reply(body, status=b"%d X" % status))

    asked = permit(GOOD, item(VAT))
    async with serving(script, []) as endpoint:
        transport = AiohttpTransport(endpoint)
        await transport.open()
        with pytest.raises(expected):
            await DepartmentSource(load_registry()[VAT], transport).fetch(asked, asked.items[0], soon())
        await transport.close()
