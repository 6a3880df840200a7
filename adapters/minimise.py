"""Minimisation: what a department answered, cut down to what the permit opens, and checked in the same pass.

A reader is generated per (dataset, permitted fields) and kept: msgspec decodes only the permitted fields, so what was
not permitted never becomes a Python value. Numbered steps, each of which can end the leg (`adapters.errors`):

1. decode: every permitted field against the catalogue's type; a required one missing, NaN, garbage => Malformed
2. subject: envelope and every row name the permit's enterprise and dataset => else WrongSubject, nothing is kept
3. shape: money and other patterned text, a column group at a time => Malformed
4. honesty: a member named twice => Malformed; members that were not asked for are dropped and counted
5. months: rows outside the permitted ones are removed and counted; missing months and doubled keys are counted
6. out: canonical JSON (RFC 8785) of the rows, fields in sorted order

`uscc` and the key that tells the month are read even if they are not permitted, because steps 2 and 5 need them; then
they are taken out again. Sources: reference/performance.md §7 and §11, design.md law 4.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.errors import Malformed, Oversize, WrongSubject
from adapters.inspect_body import foreign_members
from adapters.shape import joined, minus_zero, shape_of
from adapters.window import Clock, clock_of, well_formed, window_of
from consent.catalogue import Catalogue, Item, load
from consent.enterprise import CreditCode
from consent.scope import ScopeItem

MAX_ROWS = 5_000
"""36 months x 5 kinds x 20 meters is 3,600; more is not one enterprise's answer."""
_FRAME = '{"uscc":"91000000000000019G","dataset":"","as_of":"2026-01-01","provenance":"","records":}'
_ENVELOPE_COLONS = 5
_encode = msgspec.json.Encoder().encode


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """One leg's answer. `records` is a canonical JSON array of `count` rows holding permitted fields only.

    `months` are the covered months, sorted, for items stated per month, else empty. `quality` holds flags: `name:count`
    (`outside_period_removed`, `months_missing`, `duplicate_rows`, `extra_fields_dropped`). NO_RECORD: the department
    knows no such enterprise; then `as_of` and `provenance` are empty. `as_of` is YYYY-MM-DD.
    """

    state: Literal["READY", "NO_RECORD"]
    dataset: str
    source: str
    schema: str
    as_of: str
    provenance: str
    records: bytes
    count: int
    months: tuple[str, ...]
    quality: tuple[str, ...]


class Column(NamedTuple):
    """Patterned columns: how their values are gathered, what these joined must match and must not hold.

    `few`: the values repeat (a meter's number, a region), so only the distinct ones are looked at.
    """

    values: attrgetter[Any]
    several: bool
    few: bool
    fullmatch: Callable[[str], object]
    never: str


class Reader:
    """Reads answers for one (dataset, permitted fields). Made by `reader_for`; holds no state of any leg."""

    def __init__(self, item: Item, fields: tuple[str, ...], catalogue: Catalogue) -> None:
        self.dataset = item.name
        self.schema = f"{item.name}@{catalogue.version}"
        self.clock: Clock | None = clock_of(item)
        self._monthly = item.monthly
        needed = {"uscc"} | ({self.clock.field} if self.clock else set())
        self._hidden = tuple(sorted(needed - set(fields)))
        self._read = tuple(sorted(needed | set(fields)))
        self._decode = msgspec.json.Decoder(_envelope(item, self._read, needed, catalogue)).decode
        self._respelled = any(field.type == "datetime" and field.name in self._read for field in item.fields)
        self._frame = len(_FRAME) + len(item.name)
        self._columns = _columns(item, self._read, needed, catalogue)
        self._subject = attrgetter("uscc")
        self._month = attrgetter(self.clock.field) if self.clock else None
        keys = tuple(field.name for field in item.fields if "k" in field.flags)
        # Without all its keys permitted, two rows cannot be told apart, so nothing can be said about doubles.
        self._keys = attrgetter(*keys) if set(keys) <= set(self._read) and len(keys) > 1 else None

    def read(self, body: bytes, permitted: ScopeItem, enterprise: CreditCode, source: str) -> Fetched:
        """Cut an answer down to the permit. Raises Malformed, Oversize, WrongSubject."""
        answer = self._decoded(body)
        rows: list[Any] = answer.records
        if len(rows) > MAX_ROWS:
            raise Oversize(cause="rows")
        if (
            answer.dataset != self.dataset
            or answer.uscc != enterprise
            or {*map(self._subject, rows), enterprise} != {enterprise}
        ):
            raise WrongSubject
        self._check_columns(rows)
        data = _encode(rows)
        flags: list[str] = []
        if not self._whole(body, answer.provenance, data):
            foreign = foreign_members(body, self._read)
            if foreign:
                flags.append(f"extra_fields_dropped:{foreign}")
        kept, months = self._within(rows, permitted, flags)
        if self._keys is not None and len({*map(self._keys, kept)}) != len(kept):
            flags.append(f"duplicate_rows:{len(kept) - len({*map(self._keys, kept)})}")
        if self._hidden or kept is not rows:
            data = self._out(kept)
        return Fetched(
            "READY",
            self.dataset,
            source,
            self.schema,
            answer.as_of.isoformat(),
            answer.provenance,
            data,
            len(kept),
            months,
            tuple(flags),
        )

    def _decoded(self, body: bytes) -> Any:
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            # The message may quote a value; only the place behind it is fit for a log.
            raise Malformed(cause=f"type or required field{str(error).rpartition(' -')[2][:120]}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(cause=f"not JSON: {type(error).__name__}") from None

    def _whole(self, body: bytes, provenance: str, data: bytes) -> bool:
        """Nothing was dropped and no member named twice, told by lengths (compact JSON) or by colons (spaced JSON).

        Sound because, without a backslash on either side, each text stands in the body and in `data` alike: nothing
        that was read can be shorter in the body, and every dropped or doubled member adds a colon. Datetimes have
        several spellings, so rows holding one are always read a second time.
        """
        if self._respelled or b"\\" in body or b"\\" in data:
            return False
        if len(body) == len(data) + self._frame + len(provenance):
            return True
        return data.count(b":") + _ENVELOPE_COLONS + provenance.count(":") == body.count(b":")

    def _check_columns(self, rows: list[Any]) -> None:
        for column in self._columns:
            read = chain.from_iterable(map(column.values, rows)) if column.several else map(column.values, rows)
            # Text is never empty here (the decoder saw to it), so filter takes out None and UNSET only.
            values = {*filter(None, read)} if column.few else [*filter(None, read)]
            text = ",".join(values)
            if values and (text.count(",") != len(values) - 1 or column.fullmatch(text) is None):
                raise Malformed(cause="a patterned value")
            if column.never and column.never in text:
                raise Malformed(cause="minus zero")

    def _within(self, rows: list[Any], permitted: ScopeItem, flags: list[str]) -> tuple[list[Any], tuple[str, ...]]:
        """Step 5: the rows inside the permitted months, and the months they cover."""
        if self.clock is None or self._month is None:
            return rows, ()
        window, grain, month = window_of(permitted.period), self.clock.grain, self._month
        stated = {*map(month, rows)}
        kept = rows
        if not window.holds_all(grain, stated):
            if not all(well_formed(grain, value) for value in stated):
                raise Malformed(cause="month")
            kept = [row for row in rows if window.holds(grain, month(row))]
            flags.append(f"outside_period_removed:{len(rows) - len(kept)}")
            stated = {*map(month, kept)}
        if not self._monthly:
            return kept, ()
        missing = len(window.months) - len(stated)
        if missing:
            flags.append(f"months_missing:{missing}")
        return kept, tuple(sorted(stated))

    def _out(self, kept: list[Any]) -> bytes:
        for name in self._hidden:
            for row in kept:
                setattr(row, name, UNSET)
        return _encode(kept)


@lru_cache(maxsize=1024)
def reader_for(dataset: str, fields: tuple[str, ...]) -> Reader:
    """The reader of a dataset and its permitted fields, by the current catalogue.

    Raises ValueError for a field the item does not have, or an item whose rows name no enterprise.
    """
    catalogue = load()
    item = catalogue.item(dataset)
    unknown = set(fields) - set(item.bits)
    if unknown or not fields or "uscc" not in item.bits:
        raise ValueError(f"{dataset} cannot be read with fields {sorted(unknown)}")
    return Reader(item, fields, catalogue)


def minimise(body: bytes, permitted: ScopeItem, enterprise: CreditCode, source: str) -> Fetched:
    """A department's 200 answer, cut down to `permitted`. Raises Malformed, Oversize, WrongSubject."""
    return reader_for(permitted.dataset, permitted.fields).read(body, permitted, enterprise, source)


def no_record(permitted: ScopeItem, source: str) -> Fetched:
    """The state of a leg whose department knows no such enterprise."""
    schema = reader_for(permitted.dataset, permitted.fields).schema
    return Fetched("NO_RECORD", permitted.dataset, source, schema, "", "", b"[]", 0, (), ())


def _envelope(item: Item, names: Iterable[str], needed: set[str], catalogue: Catalogue) -> Any:
    """The type of an answer: its own members, and rows holding `names` in sorted order."""
    by_name = {field.name: field for field in item.fields}
    members: list[tuple[Any, ...]] = []
    for name in names:
        field = by_name[name]
        decoded = shape_of(field, catalogue).decoded
        if name in needed:
            members.append((name, decoded | UnsetType))
        elif field.required and "x" not in field.flags:
            members.append((name, decoded))
        else:  # x = derived by the node: whoever states it may, nobody must
            members.append((name, decoded | None | UnsetType, UNSET))
    row = msgspec.defstruct("Row", members, gc=False, kw_only=True)
    return msgspec.defstruct(
        "Answered",
        [
            ("uscc", str),
            ("dataset", str),
            ("as_of", datetime.date),
            ("provenance", Annotated[str, Meta(min_length=1, max_length=200)]),
            ("records", list[row]),  # type: ignore[valid-type]
        ],
        gc=False,
    )


def _columns(item: Item, names: Iterable[str], needed: set[str], catalogue: Catalogue) -> tuple[Column, ...]:
    """The patterned columns, grouped by pattern; the subject and the month are compared with the permit instead."""
    grouped: dict[str, list[str]] = {}
    wanted = set(names) - needed
    for field in item.fields:
        pattern = shape_of(field, catalogue).pattern
        if field.name in wanted and pattern is not None:
            grouped.setdefault(pattern, []).append(field.name)
    return tuple(
        Column(attrgetter(*sorted(columns)), len(columns) > 1, not never, joined(pattern).fullmatch, never)
        for pattern, columns in grouped.items()
        for never in [minus_zero(pattern)]
    )
