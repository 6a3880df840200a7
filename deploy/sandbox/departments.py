"""The four departments of the sandbox as real servers on loopback: tax, social insurance, utility, registration.

Each is an ASGI application of its own that speaks the wire protocol: POST /v1/records. For tests and demonstrations
each also takes faults (POST /sandbox/faults, see `departments_faults`) and tells how often each dataset was asked
(GET /sandbox/counts). Every path wants the key.

    python -m deploy.sandbox.departments --ports 0,0,0,0 --today 2026-11-23 --key K

serves all four in one process and prints one line when it is ready: {"tax": "http://127.0.0.1:…", …}.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import date
from typing import Any

import msgspec
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.sandbox import departments_faults as faults
from deploy.sandbox.departments_desk import DEPARTMENTS, Question, give
from deploy.sandbox.firms import down_for, numbers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
NO_RECORD = b'{"state":"no_record"}'
MAX_QUESTION_BYTES = 16_384
MAX_KEPT_ANSWERS = 4_096
"""Encoded answers kept by the question's exact bytes: a benchmark asks a few hundred different ones."""


class Board:
    """What the four departments share: day, key, faults in force, how often each dataset was asked."""

    def __init__(self, today: date, key: str) -> None:
        self.today = today
        self.key = key.encode()
        self.faults = faults.Faults()
        self.counts: Counter[str] = Counter({name: 0 for each in DEPARTMENTS.values() for name in each})


class Department:
    """One department as an ASGI application."""

    def __init__(self, name: str, board: Board) -> None:
        self.name = name
        self._datasets = frozenset(DEPARTMENTS[name])
        self._board = board
        self._questions: dict[bytes, Question] = {}
        self._answers: dict[bytes, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: faults.Send) -> None:
        """ASGI. Answers every HTTP path; knows no other protocol."""
        key = next((value for name, value in scope["headers"] if name == b"x-api-key"), b"")
        body = await _body(receive)
        if not hmac.compare_digest(key, self._board.key):
            await faults.answer(send, 401, b'{"state":"unknown_key"}')
        elif scope["method"] == "POST" and scope["path"] == "/v1/records":
            await self._records(body, scope, send)
        elif scope["method"] == "POST" and scope["path"] == "/sandbox/faults":
            await self._set_fault(body, send)
        elif scope["method"] == "GET" and scope["path"] == "/sandbox/counts":
            await faults.answer(send, 200, msgspec.json.encode(dict(self._board.counts)))
        else:
            await faults.answer(send, 404, b'{"state":"no_such_path"}')

    async def _set_fault(self, body: bytes, send: faults.Send) -> None:
        try:
            fault = msgspec.json.decode(body, type=faults.Fault)
        except (msgspec.DecodeError, UnicodeDecodeError):
            await faults.answer(send, 400, b'{"state":"no_such_fault"}')
            return
        self._board.faults.set(fault)
        await faults.answer(send, 200, msgspec.json.encode(fault))

    async def _records(self, body: bytes, scope: Scope, send: faults.Send) -> None:
        question = self._questions.get(body) or self._parse(body)
        if question is None:
            await faults.answer(send, 400, b'{"state":"bad_question"}')
            return
        self._board.counts[question.dataset] += 1
        fault = self._board.faults.of(question.dataset)
        if question.dataset in down_for(numbers().get(question.uscc, 0)):
            fault = faults.Fault(question.dataset, "down")
        answer = self._answers.get(body) if fault.mode == "none" else None
        if answer is None:
            given = give(self.name, question, self._board.today)
            answer = NO_RECORD if given is None else faults.spoil(given, fault.mode)
            if fault.mode == "none" and len(self._answers) < MAX_KEPT_ANSWERS:
                self._answers[body] = answer
        if answer is NO_RECORD and fault.mode == "none":
            await faults.answer(send, 404, answer)
        else:
            await faults.send(fault, answer, scope, send)

    def _parse(self, body: bytes) -> Question | None:
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if question.dataset not in self._datasets:
            return None
        if len(self._questions) < MAX_KEPT_ANSWERS:
            self._questions[body] = question
        return question


async def _body(receive: Receive) -> bytes:
    """The request's body; what is beyond the limit is cut off and will not parse."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body") or sum(map(len, parts)) > MAX_QUESTION_BYTES:
            return b"".join(parts)


def build(today: date, key: str) -> Mapping[str, Department]:
    """The four departments as of a day, sharing one board."""
    board = Board(today, key)
    return {name: Department(name, board) for name in DEPARTMENTS}


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also hands the transport to the application: the fault `reset` breaks it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["sandbox.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class _Server(uvicorn.Server):
    """uvicorn's server, which prints a line once it listens."""

    def __init__(self, config: uvicorn.Config, told: str) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._told, flush=True)


async def serve(ports: list[int], today: date, key: str) -> None:
    """Serve the four on loopback until SIGTERM or SIGINT. Port 0 = any free one. Prints the ready line."""
    departments = build(today, key)
    sockets = [_listen(port) for port in ports]
    addresses = [each.getsockname()[1] for each in sockets]
    by_port = dict(zip(addresses, departments.values(), strict=True))

    async def front(scope: Scope, receive: Receive, send: faults.Send) -> None:
        await by_port[scope["server"][1]](scope, receive, send)

    config = uvicorn.Config(
        front,
        http=_Protocol,
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    told = {name: f"http://127.0.0.1:{port}" for name, port in zip(departments, addresses, strict=True)}
    await _Server(config, json.dumps(told)).serve(sockets=sockets)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="deploy.sandbox.departments", description="Sandbox departments on loopback")
    parser.add_argument("--ports", default="9101,9102,9103,9104", help="tax, social insurance, utility, registration")
    parser.add_argument("--today", required=True, type=date.fromisoformat, help="YYYY-MM-DD")
    parser.add_argument("--key", required=True, help="the key every caller must show")
    asked = parser.parse_args()
    ports = [int(port) for port in asked.ports.split(",")]
    if len(ports) != len(DEPARTMENTS):
        parser.error(f"{len(DEPARTMENTS)} ports are wanted")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(ports, asked.today, asked.key))


if __name__ == "__main__":
    main()
