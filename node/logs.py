"""The operator's log: one JSON line per request and event, keys from a fixed list, never a token, key or personal
datum.

The journal is for the law, this is for the operator; the two are never mixed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import BinaryIO, Final

import msgspec

from node.clock import Clock, to_ms

FIELDS: Final = ("door", "status", "code", "ms", "interaction_id", "client_id", "legs", "bytes", "cause")
"""Everything a request line may say. `client_id` names a bank, not a person; paths lose their ids before they get
here.
"""

FLUSH_S = 0.25

_ENCODE = msgspec.json.Encoder().encode
_requests = logging.getLogger("xyd.request")


class JsonLine(logging.Formatter):
    """One line per record: time, level, logger, message, and the request's fields when there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON line; an exception shows its type and place, not its text."""
        line: dict[str, object] = {
            "ts": int(record.created * 1000),
            "level": record.levelname,
            "log": record.name,
            "msg": record.getMessage() if record.name.startswith("xyd") else record.levelname,
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= {key: value for key, value in fields.items() if key in FIELDS}
        if record.exc_info and record.exc_info[2] is not None:
            trace = record.exc_info[2]
            while trace.tb_next is not None:
                trace = trace.tb_next
            line["at"] = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
            line["error"] = getattr(record.exc_info[0], "__name__", "")
        return _ENCODE(line).decode()


def configure(level: str = "INFO") -> None:
    """Send every record to standard error as JSON lines. Libraries that echo input are kept at WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("authlib", "joserfc", "aiosqlite", "asyncio", "httpx", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def request(fields: dict[str, object]) -> None:
    """The line of one request, through the logging machinery."""
    _requests.info("request", extra={"fields": fields})


class RequestLines:
    """The lines of many requests, straight to a stream: written at once, flushed a quarter of a second later.

    A crash or a full disk may lose the last lines, never an answer; the journal, which may lose nothing, is elsewhere.
    """

    def __init__(self, stream: BinaryIO, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._due = False

    def line(self, fields: dict[str, object]) -> None:
        """Write one line; only keys of FIELDS are kept."""
        head: dict[str, object] = {"ts": to_ms(self._clock()), "level": "INFO", "log": _requests.name, "msg": "request"}
        with suppress(OSError):
            self._stream.write(_ENCODE(head | {key: fields[key] for key in FIELDS if key in fields}) + b"\n")
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._due = False
        with suppress(OSError):
            self._stream.flush()
