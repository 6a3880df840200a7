"""Months and closed ranges of months. Clock-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from consent.errors import Invalid

CHINA = timezone(timedelta(hours=8))
"""Departments count months at China's midnight, wherever the node's clock thinks it is."""
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, order=True, slots=True)
class Month:
    """A calendar month, counted from year 0 so that arithmetic is plain: ordinal = 12·year + month - 1."""

    ordinal: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `YYYY-MM`, years 1900..2199. Raises Invalid."""
        return _parse(text)

    @property
    def year(self) -> int:
        """Calendar year."""
        return self.ordinal // 12

    @property
    def month(self) -> int:
        """Month of the year, 1..12."""
        return self.ordinal % 12 + 1

    def shift(self, months: int) -> Month:
        """The month so many later (earlier if negative)."""
        return Month(self.ordinal + months)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Month:
    match = _MONTH.fullmatch(text) if text.isascii() else None
    if match is None or not 1 <= int(match[2]) <= 12 or not 1900 <= int(match[1]) <= 2199:
        raise Invalid("a month must be written YYYY-MM")
    return Month(int(match[1]) * 12 + int(match[2]) - 1)


def month_of(now: datetime) -> Month:
    """The month an aware instant falls into, in China."""
    local = now.astimezone(CHINA)
    return Month(local.year * 12 + local.month - 1)


@dataclass(frozen=True, slots=True)
class Period:
    """A closed range of months, first to last, never empty."""

    first: Month
    last: Month

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise Invalid("a period must not end before it begins")

    @classmethod
    def parse(cls, first: str, last: str) -> Period:
        """Read two `YYYY-MM`. Raises Invalid."""
        return cls(Month.parse(first), Month.parse(last))

    @property
    def months(self) -> int:
        """How many months it holds, at least 1."""
        return self.last.ordinal - self.first.ordinal + 1

    def __contains__(self, month: Month) -> bool:
        return self.first <= month <= self.last

    def within(self, other: Period) -> bool:
        """Every month of this period lies in the other one."""
        return other.first <= self.first and self.last <= other.last

    def meet(self, other: Period) -> Period | None:
        """The months both hold, or None."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Period(first, last) if first <= last else None

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"
