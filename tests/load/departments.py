"""The departments of the bench: one raw uvloop protocol that speaks the wire protocol and answers from prepared bytes.

`POST /v1/records` answers like a department; `POST /sandbox/delay` with milliseconds as its body sets how long every
answer waits. It costs about 15 µs a call, so that it is never the bottleneck.

    python -m tests.load.departments --key K [--cpu N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re

import uvloop

from tests.load.places import pin
from tests.load.records import DATASETS, PATTERN, prepared

_ASKED = re.compile(rb'"(dataset|uscc)": ?"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Desk:
    """Answers by dataset and code, the key every caller must show, and the delay in force."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._answers: dict[tuple[bytes, bytes], bytes] = {}
        self._bodies = {name.encode(): prepared(name) for name in DATASETS}
        self.delay_s = 0.0

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole response to a request."""
        if head.startswith(b"POST /sandbox/delay"):
            self.delay_s = int(body) / 1000
            return _response(b"200 OK", b"{}")
        if self._key not in head:
            return _response(b"401 Unauthorized", b'{"state":"unknown_key"}')
        asked = dict(_ASKED.findall(body))
        key = (asked.get(b"dataset", b""), asked.get(b"uscc", b""))
        found = self._answers.get(key)
        if found is None:
            pattern = self._bodies.get(key[0])
            if pattern is None or len(key[1]) != len(PATTERN):
                return _response(b"404 Not Found", b'{"state":"no_record"}')
            found = self._answers[key] = _response(b"200 OK", pattern.replace(PATTERN.encode(), key[1]))
        return found


def _response(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


class Wire(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._rest = desk, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        while True:
            end = data.find(b"\r\n\r\n")
            length = _LENGTH.search(data, 0, end) if end >= 0 else None
            whole = end + 4 + (int(length[1]) if length is not None else 0)
            if end < 0 or len(data) < whole:
                self._rest = data
                return
            self._give(self._desk.answer(data[:end], data[end + 4 : whole]))
            data = data[whole:]
            if not data:
                self._rest = b""
                return

    def _give(self, answer: bytes) -> None:
        if self._desk.delay_s:
            asyncio.get_running_loop().call_later(self._desk.delay_s, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(key: str) -> None:
    """Listen on a free loopback port, print it, serve until terminated."""
    desk = Desk(key)
    server = await asyncio.get_running_loop().create_server(lambda: Wire(desk), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.load.departments")
    parser.add_argument("--key", required=True)
    parser.add_argument("--cpu", type=int)
    asked = parser.parse_args()
    pin(asked.cpu)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(asked.key))


if __name__ == "__main__":
    main()
