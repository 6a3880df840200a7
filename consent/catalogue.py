"""The catalogue 目录: which information items a node can serve, with their fields, forms and rules.

Versioned data in `catalogue_data/`. A dataset *is* a catalogue item; its name is `<category>.<item>`.
Scopes, consent screens, response validation, minimisation and report sections are derived from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, cast

import yaml

from consent.canonical import digest
from consent.errors import Invalid

CURRENT = "2026.11-r1"
Form = Literal["read", "verify", "model"]
FORMS: tuple[Form, ...] = ("read", "verify", "model")
Consent = Literal["none", "enterprise", "enterprise+person"]
Channel = Literal["public", "gov", "duty", "realname", "consent"]

_TYPE = re.compile(
    r"uscc|region6|industry4|money|pct|period|year|date|datetime|hex64|text|bool|int"
    r"|string\(\d{1,4}\)|decimal\(\d{1,2},\d{1,2}\)|code\([a-z_0-9]+\)|list<(string|code\([a-z_0-9]+\))>"
)
_CODE_LIST = re.compile(r"code\(([a-z_0-9]+)\)")


class CatalogueError(ValueError):
    """The catalogue file breaks its own rules; the message names the item and field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an item. `flags`: k key part, r required, p personal, s secret or sensitive, x derived here."""

    name: str
    label: str
    type: str
    unit: str
    flags: str

    @property
    def required(self) -> bool:
        """The department must state it."""
        return "r" in self.flags

    @property
    def personal(self) -> bool:
        """Personal information: needs the person's own consent towards a bank."""
        return "p" in self.flags


@dataclass(frozen=True, slots=True)
class Item:
    """One information item 信息项. `fields` keep catalogue order: bit n of a mask is field n."""

    name: str
    code: str
    label: str
    provider: str
    forms: tuple[Form, ...]
    channels: tuple[Channel, ...]
    consent: Consent
    sensitivity: str
    grain: str
    refresh: str
    history_months: int
    note: str
    fields: tuple[Field, ...]
    bits: Mapping[str, int] = field(hash=False, compare=False)

    @property
    def field_names(self) -> tuple[str, ...]:
        """Every field name in catalogue order."""
        return tuple(each.name for each in self.fields)

    @property
    def monthly(self) -> bool:
        """Rows are stated per month and carry `period`."""
        return "period" in self.bits and self.bits["period"] >= 0 and "month" in self.grain

    def mask(self, names: frozenset[str]) -> int:
        """Bit mask of field names, bit 0 = first field. Raises Invalid for a name the item does not have."""
        total = 0
        for name in names:
            bit = self.bits.get(name)
            if bit is None:
                raise Invalid("the information item has no such field", extra={"dataset": self.name})
            total |= 1 << bit
        return total


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A validated catalogue version; `sha256` is the digest of its canonical form."""

    version: str
    items: Mapping[str, Item] = field(hash=False)
    code_lists: Mapping[str, Mapping[str, str]] = field(hash=False)
    sha256: str

    def item(self, dataset: str) -> Item:
        """The item of a dataset name. Raises Invalid when the catalogue has none."""
        found = self.items.get(dataset)
        if found is None:
            raise Invalid("no such information item", code="request.invalid", extra={"member": "datatype"})
        return found


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Catalogue:
    """Read and validate a shipped catalogue version. Raises CatalogueError, FileNotFoundError."""
    source = resources.files("consent").joinpath("catalogue_data", f"{version}.yaml")
    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in: ten times as fast
    raw = yaml.load(source.read_text(encoding="utf-8"), Loader=safe)  # noqa: S506 - either is a safe loader
    return build(raw)


def build(raw: Any) -> Catalogue:
    """Validate a parsed catalogue and freeze it. Raises CatalogueError naming the place."""
    if not isinstance(raw, dict) or not isinstance(raw.get("version"), str):
        raise CatalogueError("a catalogue is a mapping with a version")
    try:
        return _frozen(raw)
    except CatalogueError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CatalogueError(f"a part is missing or has another shape: {error}") from error


def _frozen(raw: dict[str, Any]) -> Catalogue:
    lists = {name: {str(k): str(v) for k, v in entries.items()} for name, entries in raw["code_lists"].items()}
    items: dict[str, Item] = {}
    for category in raw["categories"]:
        for entry in category["items"]:
            item = _item(category["name"], entry, lists)
            if item.name in items:
                raise CatalogueError(f"{item.name}: declared twice")
            items[item.name] = item
    return Catalogue(raw["version"], items, lists, digest(_stringly(raw)))


def _item(category: str, entry: dict[str, Any], lists: Mapping[str, Mapping[str, str]]) -> Item:
    name = f"{category}.{entry['name']}"
    fields = tuple(
        Field(str(f["name"]), str(f["label"]), str(f["type"]), str(f["unit"]), str(f["flags"])) for f in entry["fields"]
    )
    names = [each.name for each in fields]
    if len(set(names)) != len(names) or not names:
        raise CatalogueError(f"{name}: field names must be present and distinct")
    for each in fields:
        _check_field(name, each, lists)
    channels = cast("tuple[Channel, ...]", tuple(entry["disclosure"]))
    if set(channels) - {"public", "gov", "duty", "realname", "consent"}:
        raise CatalogueError(f"{name}: unknown disclosure channel")
    if entry["consent"] not in ("none", "enterprise", "enterprise+person"):
        raise CatalogueError(f"{name}: unknown consent rule")
    return Item(
        name=name,
        code=str(entry["code"]),
        label=str(entry["label"]),
        provider=str(entry["provider"]),
        forms=_forms(name, entry["share_modes"]),
        channels=channels,
        consent=entry["consent"],
        sensitivity=str(entry["sensitivity"]),
        grain=str(entry["grain"]),
        refresh=str(entry["refresh"]),
        history_months=int(entry["history_months"]),
        note=str(entry.get("note", "")),
        fields=fields,
        bits={each: bit for bit, each in enumerate(names)},
    )


def _forms(name: str, share_modes: list[str]) -> tuple[Form, ...]:
    """Share modes of the source become forms towards a bank: collect, api and self are readable; the rest as named."""
    forms: set[str] = set()
    for mode in share_modes:
        if mode not in ("collect", "api", "verify", "model", "self"):
            raise CatalogueError(f"{name}: unknown share mode {mode}")
        forms.add("read" if mode in ("collect", "api", "self") else mode)
    if "read" in forms:
        forms.add("model")  # what may be read row by row may also stay inside and only be scored
    return tuple(form for form in FORMS if form in forms)


def _check_field(item: str, each: Field, lists: Mapping[str, Mapping[str, str]]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", each.name):
        raise CatalogueError(f"{item}.{each.name}: a field name is lower snake case")
    if not _TYPE.fullmatch(each.type):
        raise CatalogueError(f"{item}.{each.name}: unknown type {each.type}")
    named = _CODE_LIST.search(each.type)
    if named is not None and named[1] not in lists:
        raise CatalogueError(f"{item}.{each.name}: no code list {named[1]}")
    if set(each.flags) - set("krpsx"):
        raise CatalogueError(f"{item}.{each.name}: unknown flag")


def _stringly(value: Any) -> Any:
    """YAML reads dates and floats; the digest needs neither, so every scalar becomes text."""
    if isinstance(value, dict):
        return {str(key): _stringly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stringly(item) for item in value]
    return value if isinstance(value, (bool, type(None))) else str(value)
