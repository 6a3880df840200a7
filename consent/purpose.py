"""Purpose templates 授权用途: executable upper bounds on what may be asked, for how long and how often.

Data in `purposes/<CODE>.yaml`, hashed; the hash stands in the consent document, the journal and the receipt.
A request over a bound is refused before the enterprise sees it, naming the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from consent.canonical import digest
from consent.catalogue import Catalogue, Form
from consent.errors import Invalid, OverBound
from consent.period import month_of
from consent.scope import Scope, ScopeItem

CODES = ("LOAN_APPLICATION", "POST_LOAN", "ONE_OFF_CHECK", "GUARANTEE_REVIEW")
Assurance = Literal["L1", "L2", "L3", "L4"]


@dataclass(frozen=True, slots=True)
class DatasetBound:
    """The most a purpose may open of one dataset."""

    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    lookback_months: int


@dataclass(frozen=True, slots=True)
class Template:
    """One purpose. Days and months are inclusive upper bounds; `sha256` is the digest of its canonical form."""

    code: str
    version: int
    label: str
    label_en: str
    statement: str
    refusal: str
    fetch: Literal["ONETIME", "PERIODIC"]
    max_queries: int
    max_days: int
    default_days: int
    retention_days: int
    min_assurance: Assurance
    datasets: Mapping[str, DatasetBound] = field(hash=False)
    sha256: str = ""

    def check(self, scope: Scope, *, days: int, queries: int, now: datetime) -> None:
        """Refuse what exceeds the template. Raises OverBound with `limit`, `max` and `asked`."""
        if not scope.items:
            raise Invalid("nothing was asked for", extra={"member": "items"})
        _bound("validity_days", days, self.max_days)
        _bound("max_queries", queries, self.max_queries)
        for item in scope:
            self._check_item(item, now)

    def _check_item(self, item: ScopeItem, now: datetime) -> None:
        bound = self.datasets.get(item.dataset)
        if bound is None:
            raise OverBound("the purpose does not cover this item", extra={"limit": "dataset", "asked": item.dataset})
        if item.form not in bound.forms:
            raise OverBound(
                "the purpose does not cover this form",
                extra={"limit": f"{item.dataset}.form", "max": ",".join(bound.forms), "asked": item.form},
            )
        beyond = sorted(set(item.fields) - set(bound.fields))
        if beyond:
            raise OverBound("the purpose does not cover this field", extra={"limit": f"{item.dataset}.{beyond[0]}"})
        this_month = month_of(now)
        _bound(f"{item.dataset}.lookback_months", this_month.ordinal - item.period.first.ordinal, bound.lookback_months)
        if item.period.last > this_month:
            raise OverBound("months in the future cannot be asked for", extra={"limit": f"{item.dataset}.period"})

    def end(self, days: int, now: datetime) -> datetime:
        """When a consent given now for so many days ends."""
        return now + timedelta(days=days)


def _bound(limit: str, asked: int, most: int) -> None:
    if asked > most:
        raise OverBound("over the bound of the purpose", extra={"limit": limit, "max": most, "asked": asked})


@lru_cache(maxsize=8)
def templates(catalogue: Catalogue) -> Mapping[str, Template]:
    """Every shipped template by code, checked against a catalogue. Raises ValueError naming the file."""
    return {code: _load(code, catalogue) for code in CODES}


def template(code: str, catalogue: Catalogue) -> Template:
    """The template of a purpose code. Raises Invalid for an unknown one."""
    found = templates(catalogue).get(code)
    if found is None:
        raise Invalid("no such purpose", extra={"member": "purpose.code"})
    return found


def _load(code: str, catalogue: Catalogue) -> Template:
    source = resources.files("consent").joinpath("purposes", f"{code}.yaml")
    raw = yaml.safe_load(source.read_text(encoding="utf-8"))
    if raw.get("code") != code:
        raise ValueError(f"{code}: the file names another purpose")
    bounds = {name: _dataset_bound(code, name, entry, catalogue) for name, entry in raw.pop("datasets").items()}
    full: dict[str, Any] = {
        **raw,
        "catalogue": catalogue.version,
        "datasets": {n: [list(b.forms), list(b.fields), b.lookback_months] for n, b in bounds.items()},
    }
    return Template(**raw, datasets=bounds, sha256=digest(full))


def _dataset_bound(code: str, name: str, entry: dict[str, Any], catalogue: Catalogue) -> DatasetBound:
    item = catalogue.items.get(name)
    if item is None or "consent" not in item.channels:
        raise ValueError(f"{code}: {name} is not served on consent")
    unknown = set(entry.get("without", [])) - set(item.bits)
    forms = tuple(form for form in item.forms if form in entry["forms"])
    lookback = entry["lookback_months"]
    if unknown or set(entry["forms"]) - set(item.forms) or lookback > max(item.history_months, 1):
        raise ValueError(f"{code}: {name} goes beyond the catalogue")
    fields = tuple(f.name for f in item.fields if not f.personal and f.name not in entry.get("without", []))
    return DatasetBound(forms=forms, fields=fields, lookback_months=lookback)
