"""The second pair of eyes: rows about to leave are read once more, by other code, against the permit alone.

Law 4 says the response is minimised, not only the request; this is the check of that, cheap enough for every release.
It shares nothing with `adapters.minimise` but the catalogue: a fault there is found here.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from consent.catalogue import load
from consent.period import Month
from consent.scope import ScopeItem


@lru_cache(maxsize=1024)
def _decoder(dataset: str, fields: tuple[str, ...]) -> tuple[msgspec.json.Decoder[Any], str]:
    """A decoder that refuses every unknown member, and the name of the member that tells the month ("" if none)."""
    item = load().item(dataset)
    types = {field.name: field.type for field in item.fields if "k" in field.flags and field.name in fields}
    timed = [name for kind in ("period", "date", "year") for name, type_ in types.items() if type_ == kind]
    month = timed[-1] if timed and item.history_months else ""
    month = next((name for name, type_ in types.items() if type_ == "period"), month)
    members: list[tuple[Any, ...]] = [
        (name, str) if name == month else (name, msgspec.Raw, msgspec.Raw()) for name in fields
    ]
    row = msgspec.defstruct("Leaving", members, forbid_unknown_fields=True, kw_only=True, gc=False)
    return msgspec.json.Decoder(list[row]), month  # type: ignore[valid-type]


def excess(records: bytes, permitted: ScopeItem) -> tuple[str, ...]:
    """What in the rows goes beyond the permit: field names and months, sorted; empty = nothing does.

    Rows that cannot be read at all are in excess as a whole: `("unreadable",)`.
    """
    decoder, month = _decoder(permitted.dataset, permitted.fields)
    try:
        rows = decoder.decode(records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _named(records, permitted)
    if not month or not rows:
        return ()
    stated = {*map(attrgetter(month), rows)}
    allowed = _allowed(permitted.period.first.ordinal, permitted.period.last.ordinal)
    # A date counts by its month, a year by itself.
    return tuple(sorted({text[:7] for text in stated} - allowed))


@lru_cache(maxsize=1024)
def _allowed(first: int, last: int) -> frozenset[str]:
    """The months of a permit, and its years."""
    months = [str(Month(ordinal)) for ordinal in range(first, last + 1)]
    return frozenset(months) | {month[:4] for month in months}


def _named(records: bytes, permitted: ScopeItem) -> tuple[str, ...]:
    try:
        rows = msgspec.json.decode(records, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ("unreadable",)
    return tuple(sorted(set().union(*rows) - set(permitted.fields))) or ("unreadable",)
