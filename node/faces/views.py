"""What every page has beside its content: language, letter size, the anti-forgery token; and how an entry looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlencode

from node.faces.texts import Lang, Words, texts

CHINA = timezone(timedelta(hours=8))
"""Pages show the time of China, which has one zone and no summer time."""
Size = Literal["", "large", "largest"]
SIZES: tuple[Size, ...] = ("", "large", "largest")


@dataclass(frozen=True, slots=True)
class Page:
    """One page for one reader. `path` and `query` are its own address, for the two display links."""

    lang: Lang = "zh"
    size: Size = ""
    path: str = "/"
    query: str = ""
    csrf: str = ""
    signed_in: bool = False

    @property
    def size_link(self) -> str:
        """This page in the next letter size: standard → large → largest → standard."""
        following = SIZES[(SIZES.index(self.size) + 1) % len(SIZES)]
        return self._link("size", following or "normal")

    @property
    def lang_link(self) -> str:
        """This page in the other language."""
        return self._link("lang", "en" if self.lang == "zh" else "zh")

    def _link(self, name: str, value: str) -> str:
        kept = [pair for pair in parse_qsl(self.query) if pair[0] not in ("lang", "size")]
        return f"{self.path}?{urlencode([*kept, (name, value)])}"


class _Line(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def bank(self) -> str: ...

    @property
    def act(self) -> str: ...


LOOKS: Mapping[str, tuple[str, str]] = {
    "REQ": ("info", "eye"),
    "REL": ("", "eye"),
    "ASSESS": ("", "eye"),
    "DENY": ("stop", "cross"),
    "ABORT": ("warn", "pause"),
    "GRANT": ("info", "tick"),
    "REVOKE": ("warn", "undo"),
    "REJECT": ("warn", "cross"),
    "TOKEN": ("info", "chain"),
    "STOP": ("warn", "stop"),
    "PASSKEY": ("info", "finger"),
    "BANK": ("info", "person"),
}
"""Tone and icon of each kind of entry an enterprise can meet; the word stands in the texts, colour is never alone.
An entry of a kind that a later version writes looks like one of the node's own."""


@dataclass(frozen=True, slots=True)
class Look:
    """How an entry is drawn: jade ("") for what was allowed, blue for steps, amber for ends, vermilion for blocked."""

    tone: str
    glyph: str
    headline: str
    result: str


def look(line: _Line, words: Words) -> Look:
    """The look of an entry."""
    kind = line.kind if line.kind in LOOKS else "BANK"
    key = f"entry.{kind}.{line.act}"
    headline = words.t(key if key in texts() else f"entry.{kind}", bank=brand(line.bank) or words.t("nobody"))
    return Look(*LOOKS[kind], headline, words.t(f"result.{kind}"))


_FORMS = re.compile(r"(股份)?有限(责任)?公司$")


def brand(name: str) -> str:
    """A company's name without its legal form, for headlines; the full name always stands on the same page."""
    return _FORMS.sub("", name) or name


def moment(value: datetime | str, lang: Lang) -> str:
    """An instant to the minute, in China's time: `2026年4月5日 14:03`, `5 Apr 2026 14:03`."""
    return f"{day(value, lang)} {_china(value):%H:%M}"


def moment_exact(value: datetime, lang: Lang) -> str:
    """An instant to the millisecond, as the journal keeps it."""
    local = _china(value)
    return f"{day(value, lang)} {local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def day(value: datetime | str, lang: Lang) -> str:
    """A day in China."""
    local = _china(value)
    if lang == "zh":
        return f"{local.year}年{local.month}月{local.day}日"
    return f"{local.day} {_MONTHS[local.month]} {local.year}"


def month(text: str, lang: Lang) -> str:
    """A month written `YYYY-MM`."""
    year, _, number = text.partition("-")
    return f"{year}年{int(number)}月" if lang == "zh" else f"{_MONTHS[int(number)]} {year}"


def money(text: str) -> str:
    """A decimal string in yuan with its thousands parted; whole yuan without cents."""
    whole, _, cents = text.partition(".")
    grouped = f"{int(whole):,}" if whole.isascii() and whole.isdigit() else whole
    return f"{grouped}.{cents}" if cents.strip("0") else grouped


_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _china(value: datetime | str) -> datetime:
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(CHINA)
