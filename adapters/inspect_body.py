"""The slow look into an answer that holds more than was asked for: which members, and none of them twice.

msgspec lets the last of two equal members win; then two readers of one answer may see two different things
(RFC 8259 §4). `adapters.minimise` comes here only when a count shows that something was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from adapters.errors import Malformed

ENVELOPE = frozenset({"uscc", "dataset", "as_of", "provenance", "records"})


def foreign_members(body: bytes, read: Iterable[str]) -> int:
    """How many differently named members of the rows and the envelope were not read. Raises Malformed for a double."""
    try:
        answer = json.loads(body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Malformed(cause=f"second reading: {type(error).__name__}") from None
    rows: list[dict[str, Any]] = answer["records"]
    names = set().union(*rows) - set(read)
    return len(names) + len(set(answer) - ENVELOPE)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed(cause="member named twice")
    return members
