"""The catalogue's field types as things a decoder can check in one pass.

Most types are checked by msgspec while it decodes (codes, dates, integers, lengths). A regular expression per value
would cost five times the decoding, so the types written as patterned text (money, digests, region codes) are decoded
as bounded text and then checked a column group at a time: one join, one expression.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from consent.canonical import MAX_SAFE_INTEGER
from consent.catalogue import Catalogue, Field

TEXT_LIMIT = 4_000
"""Characters of a `text` field: a scope of business or a decision's gist, not a document."""
LIST_LIMIT = 1_000
"""Members of a list field, each at most 200 characters."""

_SIZED = re.compile(r"(string|decimal)\((\d+)(?:,(\d+))?\)")
_CODED = re.compile(r"(list<)?code\(([a-z_0-9]+)\)>?")
_PLAIN: Mapping[str, str] = {
    "uscc": r"[0-9A-HJ-NP-RTUWXY]{18}",
    "region6": r"[0-9]{6}",
    "industry4": r"[A-T][0-9]{4}",
    "period": r"[0-9]{4}-(?:0[1-9]|1[0-2])",
    "year": r"[0-9]{4}",
    "hex64": r"[0-9a-f]{64}",
}
_LENGTHS = {"uscc": 18, "region6": 6, "industry4": 5, "period": 7, "year": 4, "hex64": 64}


class Shape(NamedTuple):
    """How one type is decoded, and the expression its text must match besides (None = the decoder checks all)."""

    decoded: Any
    pattern: str | None = None


def shape_of(field: Field, catalogue: Catalogue) -> Shape:
    """The shape of a catalogue field. A catalogue that loaded has no other types, so KeyError here is a bug."""
    return _shape(field.type, catalogue)


def _shape(name: str, catalogue: Catalogue) -> Shape:
    coded = _CODED.fullmatch(name)
    if coded is not None:
        one = _codes(catalogue.code_lists[coded[2]])
        return Shape(Annotated[list[one], Meta(max_length=LIST_LIMIT)]) if coded[1] else Shape(one)  # type: ignore[valid-type]
    sized = _SIZED.fullmatch(name)
    if sized is not None and sized[1] == "string":
        return Shape(Annotated[str, Meta(max_length=int(sized[2]))])
    if sized is not None or name in ("money", "pct"):
        precision, scale = (int(sized[2]), int(sized[3])) if sized else ((18, 2) if name == "money" else (9, 4))
        return Shape(Annotated[str, Meta(min_length=1, max_length=precision + 2)], decimal_pattern(precision, scale))
    if name in _PLAIN:
        return Shape(Annotated[str, Meta(min_length=_LENGTHS[name], max_length=_LENGTHS[name])], _PLAIN[name])
    return Shape(_DECODED[name])


_DECODED: Mapping[str, Any] = {
    "text": Annotated[str, Meta(max_length=TEXT_LIMIT)],
    "bool": bool,
    "int": Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)],  # every int of the catalogue counts something
    "date": datetime.date,
    "datetime": Annotated[datetime.datetime, Meta(tz=True)],
    "list<string>": Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=LIST_LIMIT)],
}


def decimal_pattern(precision: int, scale: int) -> str:
    """decimal(p,s) as text: exactly s digits behind the point, no leading zero, no plus. `minus_zero` is apart."""
    return rf"-?+(?:0|[1-9][0-9]{{0,{precision - scale - 1}}}+)" + (rf"\.[0-9]{{{scale}}}" if scale else "")


def minus_zero(pattern: str) -> str:
    """Text that no decimal column may hold, by its pattern; "" for columns that are no decimals.

    A second spelling of zero would make equal values unequal. Apart from the pattern, because a look-ahead there
    costs a third of the match.
    """
    scale = re.search(r"\\.\[0-9\]\{(\d+)\}$", pattern)
    return "-0." + "0" * int(scale[1]) if scale else ""


def _codes(entries: Mapping[str, str]) -> Any:
    """A closed list admits its codes only; a list marked `open` in the catalogue follows the issuer's own text."""
    if set(entries) == {"open"}:
        return Annotated[str, Meta(max_length=64)]
    return Literal[tuple(entries)]


@cache
def joined(pattern: str) -> re.Pattern[str]:
    """The expression for values joined by commas. No pattern matches a comma, so counting commas counts values."""
    return re.compile(rf"{pattern}(?:,{pattern})*+")
