"""谁查过我: every journal entry of one enterprise, numbered 1..n in each year without a gap.

The numbers are given under the journal's lock and stand in the leaves, so a hidden entry would leave a hole here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from typing import Any

from sqlmodel import col, func, select

from consent.enterprise import CreditCode
from consent.grant import Grant
from consent.oauth.bank import Bank
from node.clock import from_ms
from node.database import Reader
from node.flows.phone.errors import NotYours
from node.journal.reading import Openings
from node.journal.tables import Entry, Subject

CHINA = timezone(timedelta(hours=8))
PAGE = 50
RELEASED = ("REL", "ASSESS")


@dataclass(frozen=True, slots=True)
class Line:
    """One entry in words' reach. `bank` is "" for the node's own acts, `why` tells why it was refused or ended."""

    year: int
    index: int
    seq: int
    kind: str
    when: datetime
    bank: str
    purpose: str
    datasets: tuple[str, ...]
    why: str
    grant_id: str
    act: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """The enterprise's numbers of one year: how many entries, the last number, and whether 1..n is whole."""

    year: int
    total: int
    last: int
    distinct: int

    @property
    def whole(self) -> bool:
        """No number is missing and none stands twice."""
        return self.total == self.last == self.distinct


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day in China, newest first."""

    date: date
    entries: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The page. `before` is the number to go on from, 0 at the end; `after_revocation` must be 0 (law 2)."""

    books: tuple[Book, ...]
    days: tuple[Day, ...]
    year: int
    before: int
    released: int
    blocked: int
    after_revocation: int


@dataclass(frozen=True, slots=True)
class Timelines:
    """See the module."""

    reader: Reader
    openings: Openings

    async def page(self, enterprise: CreditCode, year: int = 0, before: int = 0) -> Timeline:
        """The newest page of a year (0 = the newest year), or what lies before a number."""
        subjects = await self._subjects(enterprise)
        books = tuple([await self._book(each) for each in subjects])
        shown = next((each for each in subjects if each.log_year == year), subjects[0] if subjects else None)
        if shown is None:
            return Timeline((), (), 0, 0, 0, 0, 0)
        wanted = select(Entry).where(Entry.log_year == shown.log_year, Entry.sub == shown.pseudonym)
        if before:
            wanted = wanted.where(Entry.seq < before)
        entries = await self.reader.all(wanted.order_by(col(Entry.seq).desc()).limit(PAGE))
        lines = await self.lines(entries)
        older = lines[-1].seq if lines and lines[-1].seq > 1 else 0
        counts = await self.counts(enterprise)
        return Timeline(books, days(lines), shown.log_year, older, counts[0], counts[1], await self._after(subjects))

    async def latest(self, enterprise: CreditCode, most: int) -> list[Line]:
        """The newest entries over all years."""
        subs = [each.pseudonym for each in await self._subjects(enterprise)]
        statement = select(Entry).where(col(Entry.sub).in_(subs)).order_by(col(Entry.ts).desc(), col(Entry.idx).desc())
        return await self.lines(await self.reader.all(statement.limit(most)))

    async def of_grant(self, enterprise: CreditCode, grant_id: str) -> list[Line]:
        """Everything under one grant, newest first."""
        subs = [each.pseudonym for each in await self._subjects(enterprise)]
        statement = select(Entry).where(Entry.grant_id == grant_id, col(Entry.sub).in_(subs))
        return await self.lines(await self.reader.all(statement.order_by(col(Entry.ts).desc(), col(Entry.idx).desc())))

    async def entry(self, enterprise: CreditCode, year: int, index: int) -> Entry:
        """One entry of this enterprise. Raises NotYours for every other index."""
        subs = {each.log_year: each.pseudonym for each in await self._subjects(enterprise)}
        year = year or max(subs, default=0)
        row = await self.reader.first(select(Entry).where(Entry.log_year == year, Entry.idx == index))
        if row is None or not row.sub or row.sub != subs.get(year):
            raise NotYours("entry")
        return row

    async def counts(self, enterprise: CreditCode, since_ms: int = 0) -> tuple[int, int, int]:
        """(released, blocked, all) entries since an instant."""
        subs = [each.pseudonym for each in await self._subjects(enterprise)]
        mine = (col(Entry.sub).in_(subs), Entry.ts >= since_ms)
        released = await self._count(*mine, col(Entry.kind).in_(RELEASED))
        return released, await self._count(*mine, Entry.kind == "DENY"), await self._count(*mine)

    async def lines(self, entries: Sequence[Entry]) -> list[Line]:
        """Entries with the names and words a person needs. A refusal's purpose is its grant's, if it had one."""
        parsed = [(entry, json.loads(entry.leaf)) for entry in entries]
        banks = await self._banks({entry.org for entry in entries})
        bare = {entry.grant_id for entry, leaf in parsed if entry.grant_id and "purpose" not in leaf}
        purposes = await self._purposes(bare)
        return [line(entry, leaf, banks, purposes) for entry, leaf in parsed]

    async def _subjects(self, enterprise: CreditCode) -> Sequence[Subject]:
        statement = select(Subject).where(Subject.code == enterprise).order_by(col(Subject.log_year).desc())
        return await self.reader.all(statement)

    async def _book(self, subject: Subject) -> Book:
        mine = (Entry.log_year == subject.log_year, Entry.sub == subject.pseudonym)
        distinct = await self.reader.first(select(func.count(func.distinct(col(Entry.seq)))).where(*mine))
        last = await self.reader.first(select(func.coalesce(func.max(Entry.seq), 0)).where(*mine))
        # The subject's own counter says how many numbers were given: a missing last entry shows as well.
        return Book(subject.log_year, await self._count(*mine), max(last or 0, subject.counter), distinct or 0)

    async def _count(self, *conditions: Any) -> int:
        return await self.reader.first(select(func.count()).select_from(Entry).where(*conditions)) or 0

    async def _after(self, subjects: Sequence[Subject]) -> int:
        """Releases that stand after the withdrawal of their grant. The journal's lock makes this 0; we count anyway."""
        subs = [each.pseudonym for each in subjects]
        ended = await self.reader.all(select(Entry).where(col(Entry.sub).in_(subs), Entry.kind == "REVOKE"))
        since = {each.grant_id: (each.log_year, each.idx) for each in ended}
        kinds = col(Entry.kind).in_(RELEASED)
        later = await self.reader.all(select(Entry).where(col(Entry.grant_id).in_(list(since)), kinds))
        return sum((each.log_year, each.idx) > since[each.grant_id] for each in later)

    async def _banks(self, clients: Iterable[str]) -> dict[str, str]:
        rows = await self.reader.all(select(Bank).where(col(Bank.client_id).in_(list(clients))))
        return {row.client_id: row.name for row in rows}

    async def _purposes(self, grants: Iterable[str]) -> dict[str, str]:
        rows = await self.reader.all(select(Grant).where(col(Grant.id).in_(list(grants))))
        return {row.id: row.purpose for row in rows}


def line(entry: Entry, leaf: dict[str, Any], banks: dict[str, str], purposes: dict[str, str]) -> Line:
    """One entry from its row and its parsed leaf."""
    return Line(
        year=entry.log_year,
        index=entry.idx,
        seq=entry.seq,
        kind=entry.kind,
        when=from_ms(entry.ts),
        bank=banks.get(entry.org, "" if entry.org == "node" else entry.org),
        purpose=leaf.get("purpose") or purposes.get(entry.grant_id, ""),
        datasets=tuple(item.partition(":")[0] for item in leaf.get("items", ())),
        why=str(leaf.get("why", "")),
        grant_id=entry.grant_id,
        act=str(leaf.get("act", "")),
    )


def days(lines: Sequence[Line]) -> tuple[Day, ...]:
    """Lines, newest first, by the day in China they fall on."""
    grouped = groupby(lines, key=lambda each: each.when.astimezone(CHINA).date())
    return tuple(Day(day, tuple(group)) for day, group in grouped)
