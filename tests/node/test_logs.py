"""The operator's log: JSON lines of fixed keys; an exception shows its type and place, never its text."""

import io
import json
import logging
import sys

from node.logs import FIELDS, JsonLine, RequestLines
from tests.faults.journal import StillClock

ALWAYS = {"ts", "level", "log", "msg"}
ALLOWED = ALWAYS | set(FIELDS) | {"at", "error"}


def line(record: logging.LogRecord) -> dict[str, object]:
    """A record as the log shows it."""
    text = JsonLine().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def record(name: str, message: str, **extra: object) -> logging.LogRecord:
    """A record of a logger."""
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_a_request_line_holds_the_fixed_keys_only() -> None:
    fields = {"door": "queries", "status": 200, "token": "xat_secret", "uscc": "91000000000000019G", "ms": 1.5}
    found = line(record("xyd.request", "request", fields=fields))
    assert set(found) == ALWAYS | {"door", "status", "ms"}


def test_what_a_library_says_is_not_repeated() -> None:
    assert line(record("authlib.oauth2", "invalid token xat_secret"))["msg"] == "INFO"


def test_a_message_cannot_forge_a_second_line() -> None:
    assert line(record("xyd.journal", 'a\n{"level":"CRITICAL"}'))["msg"] == 'a\n{"level":"CRITICAL"}'


def test_an_exception_shows_where_and_what_kind_not_what_it_said() -> None:
    try:
        raise ValueError("the company code 91000000000000019G")
    except ValueError:
        made = record("xyd.edge", "unhandled ValueError")
        made.exc_info = sys.exc_info()
    found = line(made)
    assert found["error"] == "ValueError" and str(found["at"]).startswith("test_an_exception")
    assert "91000000000000019G" not in json.dumps(found)


async def test_fast_lines_look_the_same_and_keep_the_fixed_keys(clock: StillClock) -> None:
    stream = io.BytesIO()
    lines = RequestLines(stream, clock)
    lines.line({"door": "queries", "status": 200, "ms": 1.5, "token": "xat_secret"})
    found = json.loads(stream.getvalue())
    assert set(found) == ALWAYS | {"door", "status", "ms"}
    assert (found["log"], found["msg"]) == ("xyd.request", "request")


class _Full(io.RawIOBase):
    """A stream on a disk without room."""

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


async def test_a_full_log_disk_costs_the_line_and_not_the_answer(clock: StillClock) -> None:
    lines = RequestLines(_Full(), clock)  # type: ignore[arg-type]
    lines.line({"door": "queries", "status": 200})
    lines._flush()
