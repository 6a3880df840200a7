"""The months a permit opens, in the forms in which records name them: `YYYY-MM`, a date, `YYYY`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from consent.catalogue import Item
from consent.period import Month, Period

Grain = Literal["period", "date", "year"]
_WELL_FORMED = {"period": re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])"), "year": re.compile(r"[0-9]{4}")}


class Clock(NamedTuple):
    """The key field by which an item's rows belong to a month, and how it is written."""

    field: str
    grain: Grain


class Window(NamedTuple):
    """A closed range of months; `dates` holds its first and last day."""

    months: frozenset[str]
    years: frozenset[str]
    dates: tuple[datetime.date, datetime.date]

    def holds_all(self, grain: Grain, values: Iterable[str] | Iterable[datetime.date]) -> bool:
        """Every value lies in the window; an ill-formed one does not."""
        if grain == "date":
            return all(self.holds(grain, value) for value in values)
        return (self.months if grain == "period" else self.years).issuperset(values)

    def holds(self, grain: Grain, value: str | datetime.date) -> bool:
        """One value lies in the window."""
        if isinstance(value, datetime.date):
            return self.dates[0] <= value <= self.dates[1]
        return value in (self.months if grain == "period" else self.years)


def window_of(period: Period) -> Window:
    """The window of a permitted period; computed once per pair of months."""
    return _window(period.first.ordinal, period.last.ordinal)


@lru_cache(maxsize=1024)
def _window(first: int, last: int) -> Window:
    months = [Month(ordinal) for ordinal in range(first, last + 1)]
    after = months[-1].shift(1)
    last_day = datetime.date(after.year, after.month, 1) - datetime.timedelta(days=1)
    return Window(
        frozenset(str(month) for month in months),
        frozenset(f"{month.year:04d}" for month in months),
        (datetime.date(months[0].year, months[0].month, 1), last_day),
    )


def clock_of(item: Item) -> Clock | None:
    """By which key a row belongs to a month: a period, else the last date among the keys, else a year.

    None where the catalogue keeps no history (the current state), or no key of the item tells a month.
    """
    keys = [field for field in item.fields if "k" in field.flags]
    if item.history_months == 0:
        return None
    grains: tuple[Grain, ...] = ("period", "date", "year")
    for grain in grains:
        named = [field.name for field in keys if field.type == grain]
        if named:
            return Clock(named[-1], grain)
    return None


def well_formed(grain: Grain, value: str | datetime.date) -> bool:
    """The value is a month, date or year at all, whether inside a window or not."""
    return isinstance(value, datetime.date) or _WELL_FORMED[grain].fullmatch(value) is not None
