"""Faults on demand: how a sandbox department misbehaves when a test or a demonstration asks it to.

Two kinds. Some spoil the answer (`spoil`, before it is encoded), others the way it is sent (`send`). `seconds` is the
delay of `slow` and the duration of `drip`; a fault stays until the mode `none` is set.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

import msgspec

Mode = Literal[
    "none",
    "slow",
    "garbage",
    "half",
    "other_firm",
    "extra_fields",
    "outside_months",
    "nan",
    "huge",
    "down",
    "reset",
    "drip",
    "duplicate_rows",
    "wrong_type",
    "double_member",
    "redirect",
]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = dict[str, Any]
HUGE_BYTES = 10_000_000
STRANGER = "91000000000099999P"
JSON = (b"content-type", b"application/json")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /sandbox/faults. `dataset` "*" = every dataset of the sandbox."""

    dataset: str
    mode: Mode
    seconds: float = 3.0


NO_FAULT = Fault("*", "none")


class Faults:
    """Which fault each dataset has now; shared by the four departments."""

    def __init__(self) -> None:
        self._by_dataset: dict[str, Fault] = {}

    def set(self, fault: Fault) -> None:
        """Put a fault in force; one for "*" replaces all others."""
        if fault.dataset == "*":
            self._by_dataset.clear()
        self._by_dataset[fault.dataset] = fault

    def of(self, dataset: str) -> Fault:
        """The fault in force for a dataset."""
        return self._by_dataset.get(dataset) or self._by_dataset.get("*", NO_FAULT)


def spoil(answer: Answer, mode: Mode) -> bytes:
    """The body of a spoilt answer; for modes that spoil nothing, the sound body."""
    rows: list[dict[str, Any]] = answer["records"]
    if mode == "garbage":
        return b"<html>\xff\xfe error \x00</html>"
    if mode == "other_firm":
        answer = answer | {"records": [row | {"uscc": STRANGER} for row in rows]}
    elif mode == "extra_fields":
        private = {"legal_rep_mobile": "13800000000", "bank_account": "6222020000000000"}
        answer = answer | {"records": [row | private for row in rows], "debug": "trace"}
    elif mode == "outside_months":
        answer = answer | {"records": [_out_of_time(row) for row in rows[:3]] + rows}
    elif mode == "nan":
        answer = answer | {"records": [_with_money(row, float("nan")) for row in rows]}
    elif mode == "wrong_type":
        answer = answer | {"records": [_with_money(row, 12.5) for row in rows]}
    elif mode == "duplicate_rows":
        answer = answer | {"records": rows + rows[:2]}
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    return (
        body.replace(b'{"uscc":', b'{"uscc":"' + STRANGER.encode() + b'","uscc":') if mode == "double_member" else body
    )


def _out_of_time(row: dict[str, Any]) -> dict[str, Any]:
    """The row as it would be in 2001, which no permit covers."""
    moved = {"period": "2001-01", "as_of": "2001-01", "period_to": "2001-01-31", "rating_year": "2001"}
    return row | {name: value for name, value in moved.items() if name in row}


def _with_money(row: dict[str, Any], value: float) -> dict[str, Any]:
    """The row with its first decimal text replaced by a number, or its first member after the subject."""
    texts = [
        name for name, old in row.items() if isinstance(old, str) and old.replace(".", "", 1).lstrip("-").isdigit()
    ]
    decimals = [name for name in texts if "." in row[name]] or list(row)[1:2]
    return row | {decimals[0]: value}


async def send(fault: Fault, body: bytes, scope: MutableMapping[str, Any], emit: Send) -> None:
    """Send a body the way the fault wants it. `half` and `reset` leave the connection broken."""
    if fault.mode == "down":
        await answer(emit, 503, b'{"state":"out_of_order"}')
    elif fault.mode == "redirect":
        await emit({"type": "http.response.start", "status": 302, "headers": [(b"location", b"/v1/elsewhere")]})
        await emit({"type": "http.response.body", "body": b""})
    elif fault.mode == "reset":
        _reset(scope)
    elif fault.mode == "half":
        await _start(emit, len(body))
        await emit({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    elif fault.mode == "huge":
        await _huge(body, emit)
    elif fault.mode == "drip":
        await _drip(fault.seconds, body, emit)
    else:
        if fault.mode == "slow":
            await asyncio.sleep(fault.seconds)
        await answer(emit, 200, body)


async def answer(emit: Send, status: int, body: bytes) -> None:
    """A plain whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await emit({"type": "http.response.start", "status": status, "headers": [JSON, length]})
    await emit({"type": "http.response.body", "body": body})


async def _start(emit: Send, length: int) -> None:
    headers = [JSON, (b"content-length", str(length).encode())]
    await emit({"type": "http.response.start", "status": 200, "headers": headers})


async def _huge(body: bytes, emit: Send) -> None:
    """Ten megabytes of blanks before the body, without a declared length."""
    await emit({"type": "http.response.start", "status": 200, "headers": [JSON]})
    for _ in range(HUGE_BYTES // 65_536):
        await emit({"type": "http.response.body", "body": b" " * 65_536, "more_body": True})
    await emit({"type": "http.response.body", "body": body})


async def _drip(seconds: float, body: bytes, emit: Send) -> None:
    """Twenty pieces over the time, so that every single read succeeds soon and the whole comes late."""
    await _start(emit, len(body))
    step = max(1, len(body) // 20)
    for at in range(0, len(body), step):
        await emit({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
        await asyncio.sleep(seconds / 20)
    await emit({"type": "http.response.body", "body": b""})


def _reset(scope: MutableMapping[str, Any]) -> None:
    """Break the connection with RST. Needs the sandbox's own protocol class, which puts the transport in the scope."""
    transport = scope["sandbox.transport"]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
