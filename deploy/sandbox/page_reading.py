"""Reads one of the node's pages as a person with a browser would use it: its words, its forms, its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

SILENT = ("script", "style", "svg", "title", "head", "noscript")
MAX_SUMMARY = 1200


@dataclass
class ReadForm:
    """A form: hidden members, boxes that can be ticked, what is chosen already (name, value)."""

    action: str
    hidden: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    chosen: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class ReadPage:
    """A page: its words by line, its forms, the data attributes of elements with an id."""

    lines: list[str] = field(default_factory=list)
    forms: list[ReadForm] = field(default_factory=list)
    elements: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The words of the page's main part, joined."""
        return " | ".join(self.lines)[:MAX_SUMMARY]

    def form(self, prefix: str) -> ReadForm | None:
        """The first form whose action begins so."""
        return next((each for each in self.forms if each.action.startswith(prefix)), None)

    def data(self, identity: str) -> dict[str, str]:
        """The attributes of an element. Raises KeyError when the page has none of that id."""
        return self.elements[identity]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = ReadPage()
        self._silent = 0
        self._main = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag in SILENT:
            self._silent += 1
        if tag == "main":
            self._main = True
        if "id" in named:
            self.page.elements[named["id"]] = named
        if tag == "form":
            self.page.forms.append(ReadForm(named.get("action", "")))
        if tag == "input" and self.page.forms and "name" in named:
            self._input(self.page.forms[-1], named)

    def _input(self, form: ReadForm, named: dict[str, str]) -> None:
        pair = (named["name"], named.get("value", ""))
        match named.get("type", "text"):
            case "hidden":
                form.hidden.append(pair)
            case "checkbox":
                form.boxes.append(pair)
            case "radio" if "checked" in named:
                form.chosen.append(pair)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent -= 1
        if tag == "main":
            self._main = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and self._main and not self._silent:
            self.page.lines.append(text)


def read(html: str) -> ReadPage:
    """Read a page."""
    reader = _Reader()
    reader.feed(html)
    return reader.page
