"""What only a reader of raw bytes can get wrong: `adapters.pooled` against a server that says anything."""

import asyncio
import datetime
import ipaddress
import os
import re
import ssl
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import Oversize, SourceFailure, TimedOut, Unreachable
from adapters.pooled import MAX_HEAD, PooledTransport
from adapters.transport import KEEPALIVE_S, MAX_CONNECTIONS, Answer, Call, Endpoint
from tests.adapters.raw_server import Line, RawServer, always, ask, asking

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 2\r\n\r\n[]"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b'2;a=b;c="d;e"\r\n[1\r\n00A\r\n,2,3,4,5,6\r\n1\r\n]\r\n0;last\r\nX-Sum: 1\r\nY: 2\r\n\r\n'
GOOD = Answer(200, b"[]")

WHOLE = {
    "length": (PLAIN, GOOD),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", Answer(200, b"")),
    "chunks": (CHUNKS, Answer(200, b"[1,2,3,4,5,6]")),
    "no chunk": (CHUNKED + b"0\r\n\r\n", Answer(200, b"")),
    "zeros and blanks": (OK + b"content-LENGTH: \t 0002 \r\nX:\r\n\r\n[]", GOOD),
    "204": (b"HTTP/1.1 204 No\r\n\r\n", Answer(204, b"")),
    "304 with a length": (b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", Answer(304, b"")),
    "no reason": (b"HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n[]", Answer(503, b"[]")),
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, GOOD),
    "two interim": (
        b"HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\nHTTP/1.1 102 P\r\nLink: x\r\n\r\n" + CHUNKS,
        Answer(200, b"[1,2,3,4,5,6]"),
    ),
    "like an answer": (OK + b"Content-Length: %d\r\n\r\n" % len(CHUNKS) + CHUNKS, Answer(200, CHUNKS)),
}
LAST = {
    "close": OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n[]",
    "close in a list": OK + b"Content-Length: 2\r\nConnection: x, Close\r\n\r\n[]",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "1.0 keep-alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]",
    "1.0 chunks": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "close in a trailer": CHUNKED + b"2\r\n[]\r\n0\r\nConnection: close\r\n\r\n",
}
ENDS = b"2\r\n[]\r\n0\r\n\r\n"
BROKEN = {
    "garbage": b"\x16\x03\x01\x00\xff\x00",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "html": b"<html>\r\n\r\n",
    "a request": b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
    "neither length nor chunks": OK + b"\r\n[]",
    "0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "1.9": b"HTTP/1.9 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n[]",
    "four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n[]",
    "letters": b"HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\n[]",
    "negative": b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "two blanks": b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "status 0, then an answer": b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\nno" + PLAIN,
    "status 99, then an answer": b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nno" + PLAIN,
    "101 plain": b"HTTP/1.1 101 S\r\n\r\n" + PLAIN,
    "101 upgrade": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + PLAIN,
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]]",
    "two lengths in one": OK + b"Content-Length: 2, 3\r\n\r\n[]]",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + ENDS,
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + ENDS,
    "length in a trailer": CHUNKED + b"2\r\n[]\r\n0\r\nContent-Length: 2\r\n\r\n",
    "identity and length": OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n[]",
    "gzip": OK + b"Transfer-Encoding: gzip\r\n\r\n[]",
    "gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + ENDS,
    "chunked, gzip": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + ENDS,
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + ENDS,
    "length with a sign": OK + b"Content-Length: +2\r\n\r\n[]",
    "length in hex": OK + b"Content-Length: 0x2\r\n\r\n[]",
    "empty length": OK + b"Content-Length: \r\n\r\n[]",
    "length beyond 64 bits": OK + b"Content-Length: 18446744073709551618\r\n\r\n[]",
    "length of 5000 zeros": OK + b"Content-Length: " + b"0" * 5000 + b"2\r\n\r\n[]",
    "blank before the colon": OK + b"Content-Length : 2\r\n\r\n[]",
    "folded": OK + b"X: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\n[]",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n[]",
    "chunk size with a sign": CHUNKED + b"+" + ENDS,
    "chunk size in words": CHUNKED + b"two\r\n[]\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"10000000000000002\r\n[]\r\n0\r\n\r\n",
    "chunk longer than it says": CHUNKED + b"2\r\n[]]\r\n0\r\n\r\n",
    "head too long": OK + b"X: " + b"a" * (MAX_HEAD + 300_000),
    "head too long after a length": OK + b"Content-Length: 2\r\nX: " + b"a" * (MAX_HEAD + 300_000),
    "interim answers for ever": b"HTTP/1.1 100 C\r\n\r\n" * 30_000,
}


async def afterwards(pool: PooledTransport, raw: RawServer) -> None:
    """No connection, no waiting call and no promise is left."""
    await asyncio.sleep(0)
    assert not pool._all and not pool._idle and not pool._waiting and not pool._bounds and pool._promised == 0
    await raw.silent()


# ---------------------------------------------------------------------------------------------- one answer


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_answer_is_given_however_it_is_cut_and_the_connection_is_used_again(name: str) -> None:
    sent, expected = WHOLE[name]
    cuts = iter([(sent,), tuple(sent[i : i + 1] for i in range(len(sent)))] + [
        (sent[:i], sent[i:]) for i in range(1, len(sent))
    ])  # fmt: skip

    async def script(line: Line) -> None:
        while True:
            await line.question()
            await line.say(*next(cuts))

    async with asking(script) as (pool, raw):
        for _ in range(len(sent) + 1):
            assert await ask(pool) == expected
        assert raw.lines == 1


@pytest.mark.parametrize("name", LAST)
async def test_an_answer_that_is_the_last_is_given_and_its_connection_not_used_again(name: str) -> None:
    async with asking(always(LAST[name])) as (pool, raw):
        for _ in range(3):
            assert await ask(pool) == GOOD
        assert raw.lines == 3
        await afterwards(pool, raw)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "bytewise"])
async def test_a_broken_answer_is_unreachable_at_once_and_its_connection_is_closed(name: str, cut: bool) -> None:
    sent = BROKEN[name]
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: trouble.append(context))
    size = 1 if cut and len(sent) < 1000 else 50_000
    async with asking(always(*(sent[i : i + size] for i in range(0, len(sent), size)))) as (pool, raw):
        with pytest.raises(Unreachable):
            await ask(pool)
        await afterwards(pool, raw)
        assert raw.lines == len(raw.heads) == 1  # and not asked again
    assert not trouble


@pytest.mark.parametrize("name", ["length", "chunks"])
async def test_a_body_cut_short_anywhere_is_unreachable(name: str) -> None:
    sent = WHOLE[name][0]
    ends = iter(range(len(sent)))

    async def script(line: Line) -> None:
        await line.question()
        await line.say(sent[: next(ends)])

    async with asking(script) as (pool, raw):
        for _ in range(len(sent)):
            with pytest.raises(Unreachable):
                await ask(pool)
        assert raw.lines == len(raw.heads) == len(sent)


async def endless(line: Line, part: bytes, told: list[int]) -> None:
    """Until the client hangs up."""
    while True:
        await line.say(part)
        told[0] += len(part)


@pytest.mark.parametrize(
    ("head", "part", "failure"),
    [
        (OK + b"Content-Length: 1001\r\n\r\n", b"", Oversize),
        (CHUNKED + b"3e9\r\n", b" " * 1001, Oversize),
        (CHUNKED, b"64\r\n" + b" " * 100 + b"\r\n", Oversize),
        (CHUNKED, b"1\r\n \r\n" * 100, Oversize),
        (CHUNKED + b"1", b";x" * 1000, Oversize),
        (CHUNKED + b"0\r\nX: ", b"x" * 1000, Oversize),
        (CHUNKED + b"0\r\n", b"X: x\r\n" * 1000, Oversize),
        (OK + b"Content-Length: 2\r\nX: ", b"x" * 1000, Unreachable),
        (OK, b"X: x\r\n" * 1000, Unreachable),
        (b"", b"\r\n" * 1000, Unreachable),
    ],
    ids="declared chunk chunks small extension trailer trailers head headers nothing".split(),
)
async def test_what_is_too_long_is_not_read_to_its_end(head: bytes, part: bytes, failure: type[SourceFailure]) -> None:
    told = [0]

    async def script(line: Line) -> None:
        await line.question()
        await line.say(head)
        await (endless(line, part, told) if part else line.ended())

    async with asking(script) as (pool, raw):
        with pytest.raises(failure):
            await ask(pool)
        await afterwards(pool, raw)
    assert told[0] < 8_000_000  # what the kernel's buffers held, and no more


@pytest.mark.parametrize("head", [OK + b"Content-Length: 1000\r\n\r\n", CHUNKED], ids=["length", "chunks"])
async def test_a_body_of_exactly_the_bound_is_given_even_in_chunks_of_one_byte(head: bytes) -> None:
    body = b"x" * 1000
    said = head + (b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n" if head is CHUNKED else body)
    async with asking(always(said)) as (pool, _):
        assert await ask(pool, most=1000) == Answer(200, body)


# ---------------------------------------------------------------------------------------------- the next answer

UNASKED = {
    "an answer": OK + b"Content-Length: 3\r\n\r\nbad",
    "half an answer": OK + b"Content-",
    "an interim answer": b"HTTP/1.1 100 C\r\n\r\n",
    "garbage": b"x",
    "a 408": b"HTTP/1.1 408 T\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
@pytest.mark.parametrize("when", ["with the answer", "while idle", "before the loop looks"])
async def test_unasked_bytes_are_never_an_answer(unasked: bytes, when: str) -> None:
    sockets: list[int] = []

    async def script(line: Line) -> None:
        sockets.append(line.socket)
        while True:
            await line.question()
            await line.say(PLAIN + unasked if when == "with the answer" else PLAIN)

    async with asking(script) as (pool, raw):
        assert await ask(pool) == GOOD
        if when != "with the answer":
            os.write(sockets[0], unasked)  # past the loop, into the kernel
        if when == "while idle":
            await asyncio.sleep(0.01)
            assert not pool._all
        assert await ask(pool) == GOOD
        assert raw.lines == 2


async def test_bytes_that_the_loop_has_not_read_are_not_the_next_answer() -> None:
    for unasked in UNASKED.values():
        await test_unasked_bytes_are_never_an_answer(unasked, "before the loop looks")


async def test_a_late_answer_is_nobodys() -> None:
    async def script(line: Line) -> None:
        while True:
            body = await line.question()
            if body == b"slow":
                await asyncio.sleep(0.05)
            await line.say(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async with asking(script) as (pool, raw):
        with pytest.raises(TimedOut):
            await ask(pool, b"slow", within=0.02)
        assert (await ask(pool, b"quick")).body == b"quick"
        await asyncio.sleep(0.05)
        assert (await ask(pool, b"again!")).body == b"again!"
        assert raw.lines == 2


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 100 C\r\n\r\n", PLAIN[:-1]], ids=["nothing", "interim", "half"])
async def test_the_deadline_and_a_cancellation_close_the_connection(said: bytes) -> None:
    async def script(line: Line) -> None:
        await line.question()
        await line.say(said)
        await line.ended()

    async with asking(script) as (pool, raw):
        with pytest.raises(TimedOut):
            await ask(pool, within=0.03)
        await afterwards(pool, raw)
        call = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await afterwards(pool, raw)


async def test_a_cancellation_after_the_answer_does_not_end_the_question_of_another() -> None:
    async def script(line: Line) -> None:
        while True:
            body = await line.question()
            await line.say(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async with asking(script) as (pool, raw):
        first = asyncio.create_task(ask(pool, b"first"))
        while not pool._idle:
            await asyncio.sleep(0)
        first.cancel()  # answered, and not yet told
        assert (await ask(pool, b"second")).body == b"second"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert raw.lines == 1


# ---------------------------------------------------------------------------------------------- asked once more


@pytest.mark.parametrize("reset", [False, True])
async def test_a_used_connection_that_dies_before_any_byte_is_asked_exactly_once_more(reset: bool) -> None:
    async def script(line: Line) -> None:
        if line.number == 1:
            await line.question()
            await line.say(PLAIN)
        await line.question()
        if reset:
            line._writer.transport.abort()

    async with asking(script) as (pool, raw):
        assert await ask(pool) == GOOD
        with pytest.raises(Unreachable):
            await ask(pool)
        assert (raw.lines, len(raw.heads)) == (2, 3)


async def test_a_connection_that_dies_after_the_first_byte_or_is_new_is_not_asked_again() -> None:
    async def script(line: Line) -> None:
        await line.question()
        if line.number == 1:
            await line.say(PLAIN)
            await line.question()
            await line.say(b"H")

    async with asking(script) as (pool, raw):
        assert await ask(pool) == GOOD
        for lines, questions in ((1, 2), (2, 3)):
            with pytest.raises(Unreachable):
                await ask(pool)
            assert (raw.lines, len(raw.heads)) == (lines, questions)


async def test_calls_that_wait_are_answered_by_a_server_that_hangs_up_after_each_answer() -> None:
    async with asking(always(PLAIN, end=True)) as (pool, raw):
        assert await asyncio.gather(*(ask(pool) for _ in range(200))) == [GOOD] * 200
        assert len(raw.heads) == 200


# ---------------------------------------------------------------------------------------------- the bound


async def test_two_hundred_calls_share_the_connections() -> None:
    async def script(line: Line) -> None:
        while True:
            body = await line.question()
            await asyncio.sleep(0.005)
            await line.say(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async with asking(script) as (pool, raw):
        bodies = [b"%d" % i for i in range(200)]
        answers = await asyncio.gather(*(ask(pool, body) for body in bodies))
        assert [each.body for each in answers] == bodies
        assert raw.most == raw.lines == MAX_CONNECTIONS == len(pool._idle)


async def test_a_call_that_waits_is_not_overtaken_for_ever() -> None:
    async def greedy(pool: PooledTransport, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            await ask(pool)

    async with asking(always(PLAIN)) as (pool, raw):
        until = asyncio.get_running_loop().time() + 0.6
        hogs = [asyncio.create_task(greedy(pool, until)) for _ in range(MAX_CONNECTIONS)]
        await asyncio.sleep(0.1)
        assert await asyncio.gather(*(ask(pool, within=0.4) for _ in range(20))) == [GOOD] * 20
        await asyncio.gather(*hogs)
        assert raw.most == MAX_CONNECTIONS


async def mute(line: Line) -> None:
    """Listens, says nothing."""
    await line.question()
    await line.ended()


async def test_the_deadline_covers_waiting_for_a_connection_and_a_cancelled_wait_loses_nothing() -> None:
    free = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            await line.question()
            await free.wait()
            await line.say(PLAIN)

    async with asking(script) as (pool, _):
        busy = [asyncio.create_task(ask(pool)) for _ in range(MAX_CONNECTIONS)]
        await asyncio.sleep(0.05)
        with pytest.raises(TimedOut):
            await ask(pool, within=0.02)
        assert not pool._waiting
        waiting = [asyncio.create_task(ask(pool)) for _ in range(2)]
        while len(pool._waiting) < 2:
            await asyncio.sleep(0)
        busy[0].cancel()  # its room goes to the first that waits, which in the same turn gives up
        while len(pool._waiting) == 2:
            await asyncio.sleep(0)
        waiting[0].cancel()
        free.set()
        assert await waiting[1] == GOOD
        assert await asyncio.gather(*busy[1:]) == [GOOD] * (MAX_CONNECTIONS - 1)
        await asyncio.gather(busy[0], waiting[0], return_exceptions=True)
        assert len(pool._all) <= MAX_CONNECTIONS and pool._promised == 0


async def test_the_deadline_covers_connecting() -> None:
    raw = RawServer(Line.ended)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)  # never shakes hands
    pool = PooledTransport(Endpoint(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", "k"))
    await pool.open()
    with pytest.raises(TimedOut):
        await ask(pool, within=0.05)
    await afterwards(pool, raw)
    pending = asyncio.create_task(ask(pool))
    await asyncio.sleep(0.02)
    await pool.close()
    with pytest.raises(Unreachable):
        await pending
    await afterwards(pool, raw)
    server.close()


async def test_two_hundred_calls_to_nobody_are_unreachable_at_once() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    pool = PooledTransport(Endpoint(f"http://127.0.0.1:{port}", "k"))
    await pool.open()
    outcomes = await asyncio.gather(*(ask(pool) for _ in range(200)), return_exceptions=True)
    assert {type(each) for each in outcomes} == {Unreachable}
    assert not pool._all and not pool._promised and not pool._waiting
    await pool.close()


async def test_an_idle_connection_is_not_used_after_its_time() -> None:
    async with asking(always(PLAIN)) as (pool, raw):
        await ask(pool)
        pool._idle[0].idle_since -= KEEPALIVE_S - 1
        await ask(pool)
        assert raw.lines == 1
        pool._idle[0].idle_since -= KEEPALIVE_S
        await ask(pool)
        assert raw.lines == 2


# ---------------------------------------------------------------------------------------------- the end


async def test_close_ends_every_pending_call_and_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    async with asking(mute) as (pool, raw):
        calls = [asyncio.create_task(ask(pool)) for _ in range(MAX_CONNECTIONS + 20)]
        await asyncio.sleep(0.05)
        calls += [asyncio.create_task(ask(pool)) for _ in range(5)]
        await asyncio.sleep(0)
        await pool.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in outcomes} == {Unreachable}
        await afterwards(pool, raw)
        with pytest.raises(Unreachable):
            await ask(pool)
        assert raw.lines == MAX_CONNECTIONS
        await pool.close()
    assert asyncio.all_tasks() == before


async def test_close_while_connecting_asks_nothing() -> None:
    async with asking(always(PLAIN)) as (pool, raw):
        call = asyncio.create_task(ask(pool))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(Unreachable):
            await call
        await afterwards(pool, raw)
        assert not raw.heads


# ---------------------------------------------------------------------------------------------- the question


@pytest.mark.parametrize("bad", ["/x\r\nEvil: 1", "/x\nEvil: 1", "/x HTTP/1.1", "/\x00", "/税", "x", "", "/x\x7f"])
async def test_a_path_or_a_permit_id_cannot_begin_a_line_and_costs_no_connection(bad: str) -> None:
    async with asking(always(PLAIN)) as (pool, raw):
        deadline = asyncio.get_running_loop().time() + 2
        for path, permit_id in ((bad, "qry_1"), ("/x", bad + " ")):
            for _ in range(MAX_CONNECTIONS + 1):
                with pytest.raises(ValueError, match="visible ASCII"):
                    await pool.call(Call(path, b"{}", permit_id, deadline, 10))
        assert await ask(pool) == GOOD
        assert len(raw.heads) == 1
        known = rb"POST /v1/records HTTP/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nX-Api-Key: k\r\nContent-Type: [a-z/]+\r\n"
        known += rb"Accept: [a-z/]+\r\nAccept-Encoding: identity\r\nX-Permit: qry_1\r\nX-Deadline-Ms: \d+\r\n"
        assert re.fullmatch(known + rb"Content-Length: 2\r\n\r\n", raw.heads[0])


@pytest.mark.parametrize(
    ("address", "key"),
    [
        *(("http://a:80", key) for key in ("k\r\nEvil: 1", "k\n", "\rk", "k\x00", "密", "k\x0b")),
        *((f"{bad}", "k") for bad in ("ftp://a", "a:80", "http://", "http://u:p@a", "http://a b", "http://a\x01")),
    ],
)
def test_an_address_or_a_key_cannot_begin_a_line(address: str, key: str) -> None:
    with pytest.raises(ValueError, match="department's") as refused:
        PooledTransport(Endpoint(address, key))
    assert "Evil" not in str(refused.value)


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's side, signed by itself for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(alternative, critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context


async def test_a_self_signed_certificate_is_refused_and_a_trusted_one_is_not(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # the server's handshake fails
    async with asking(always(PLAIN), tls=certificate(tmp_path)) as (pool, raw):
        with pytest.raises(Unreachable) as refused:
            await ask(pool)
        assert refused.value.cause == "SSLCertVerificationError"
        assert not raw.heads
        await afterwards(pool, raw)
        assert pool._tls is not None
        pool._tls.load_verify_locations(tmp_path / "server.pem")
        for _ in range(3):
            assert await ask(pool) == GOOD
        assert raw.lines == 1


# ---------------------------------------------------------------------------------------------- anything


async def outcome(sent: bytes, cuts: list[int]) -> Answer | SourceFailure:
    """What comes of these bytes, after which the pool must still work."""
    edges = [0, *sorted(each % (len(sent) + 1) for each in cuts), len(sent)]
    parts = [sent[a:b] for a, b in pairwise(edges)]

    async def script(line: Line) -> None:
        body = await line.question()
        await line.say(*(parts if body == b"odd" else [CHUNKS]))
        if body == b"odd":
            line.hang_up()

    async with asking(script) as (pool, raw):
        try:
            found: Answer | SourceFailure = await ask(pool, b"odd")
        except SourceFailure as failure:
            found = failure
        assert await ask(pool, b"intact") == WHOLE["chunks"][1]
        assert len(raw.heads) == 2 or isinstance(found, Answer)
    return found


def on_a_loop(factory: Callable[[], asyncio.AbstractEventLoop], sent: bytes, cuts: list[int]) -> None:
    """An Answer or a failure that is not a timeout; bytes that were not touched come back exactly."""
    with asyncio.Runner(loop_factory=factory) as runner:
        found = runner.run(asyncio.wait_for(outcome(sent, cuts), 5))
    assert isinstance(found, (Answer, SourceFailure)) and not isinstance(found, TimedOut)
    for whole, expected in WHOLE.values():
        if sent == whole:
            assert found == expected


Change = tuple[str, int, bytes]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "over", "cut", "twice"]),
        st.integers(0, 400),
        st.sampled_from(
            [b"\r\n", b"\n", b"\r", b"0", b"9", b"f", b":", b" ", b"\x00", b"\xff", b"Content-Length: 1\r\n"]
        )
        | st.binary(min_size=1, max_size=4),
    ),
    max_size=4,
)


def changed(sent: bytes, changes: list[Change]) -> bytes:
    """With every change made."""
    for how, where, what in changes:
        at = where % (len(sent) + 1)
        end = {"put": at, "over": at + len(what), "cut": at + len(what), "twice": at}[how]
        sent = sent[:at] + {"put": what, "over": what, "cut": b"", "twice": sent[at : at + 20]}[how] + sent[end:]
    return sent


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), CHANGES, st.lists(st.integers(0, 400), max_size=5), st.booleans())
def test_anything_is_an_answer_or_a_failure(name: str, changes: list[Change], cuts: list[int], fast: bool) -> None:
    on_a_loop(uvloop.new_event_loop if fast else asyncio.new_event_loop, changed(WHOLE[name][0], changes), cuts)


@pytest.mark.parametrize(
    "test",
    [
        test_two_hundred_calls_share_the_connections,
        test_close_ends_every_pending_call_and_leaves_nothing,
        test_calls_that_wait_are_answered_by_a_server_that_hangs_up_after_each_answer,
        test_a_late_answer_is_nobodys,
        test_the_deadline_covers_connecting,
        test_two_hundred_calls_to_nobody_are_unreachable_at_once,
        test_a_call_that_waits_is_not_overtaken_for_ever,
        test_close_while_connecting_asks_nothing,
        test_bytes_that_the_loop_has_not_read_are_not_the_next_answer,
    ],
    ids=lambda test: test.__name__,
)
def test_on_the_loop_of_the_node(test: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())  # type: ignore[arg-type]
