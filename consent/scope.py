"""Scope: which fields of which datasets, in which form, for which months. Ordered by containment.

One item per dataset. `a.within(b)` is a partial order (reflexive, antisymmetric, transitive) and `a.meet(b)` its
greatest lower bound; `tests/properties/test_scope.py` holds the algebra.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from consent.catalogue import FORMS, Catalogue, Form
from consent.errors import Invalid
from consent.period import Period

MAX_ITEMS = 62
"""A request can name each item of the catalogue once; more is noise or an attack."""


def form_covers(granted: Form, asked: Form) -> bool:
    """What may be read row by row may also stay inside and only be scored; nothing else implies anything."""
    return granted == asked or (granted == "read" and asked == "model")


@dataclass(frozen=True, slots=True)
class ScopeItem:
    """Some fields (sorted, at least one) of one dataset, in one form, for a closed range of months."""

    dataset: str
    form: Form
    fields: tuple[str, ...]
    period: Period

    def __hash__(self) -> int:
        # The generated one hashes period and months one by one; this stands on the path of every query.
        return hash((self.dataset, self.form, self.fields, self.period.first.ordinal, self.period.last.ordinal))

    def within(self, other: ScopeItem) -> bool:
        """Every value this item opens is opened by the other one."""
        return (
            self.dataset == other.dataset
            and form_covers(other.form, self.form)
            and set(self.fields) <= set(other.fields)
            and self.period.within(other.period)
        )

    def meet(self, other: ScopeItem) -> ScopeItem | None:
        """What both open, or None when that is nothing."""
        fields = tuple(sorted(set(self.fields) & set(other.fields)))
        period = self.period.meet(other.period)
        if self.dataset != other.dataset or not fields or period is None:
            return None
        if form_covers(other.form, self.form):
            return ScopeItem(self.dataset, self.form, fields, period)
        if form_covers(self.form, other.form):
            return ScopeItem(self.dataset, other.form, fields, period)
        return None

    def encode(self, catalogue: Catalogue) -> str:
        """The journal's one-line form: `dataset:form:from/to:mask`, the mask in lower-case hex."""
        return _encoded(self, catalogue)


@lru_cache(maxsize=8192)
def _encoded(item: ScopeItem, catalogue: Catalogue) -> str:
    """Few different items are asked very often, and each is written twice (REQ and REL)."""
    mask = catalogue.item(item.dataset).mask(frozenset(item.fields))
    return f"{item.dataset}:{item.form}:{item.period}:{mask:x}"


@dataclass(frozen=True)
class Scope:
    """Items sorted by dataset, each dataset once. An empty scope opens nothing."""

    items: tuple[ScopeItem, ...]

    def __post_init__(self) -> None:
        names = [item.dataset for item in self.items]
        if names != sorted(set(names)):
            raise Invalid("each information item may be named once", extra={"member": "items"})
        if len(names) > MAX_ITEMS:
            raise Invalid("too many information items", extra={"member": "items"})

    @classmethod
    def of(cls, items: Iterable[ScopeItem]) -> Scope:
        """Sort and check. Raises Invalid when a dataset is named twice."""
        return cls(tuple(sorted(items, key=lambda item: item.dataset)))

    def __iter__(self) -> Iterator[ScopeItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def by_dataset(self) -> dict[str, ScopeItem]:
        """Items by dataset name."""
        return {item.dataset: item for item in self.items}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Dataset names, sorted."""
        return tuple(item.dataset for item in self.items)

    def within(self, other: Scope) -> bool:
        """Every value this scope opens is opened by the other one."""
        theirs = other.by_dataset
        return all(item.dataset in theirs and item.within(theirs[item.dataset]) for item in self.items)

    def meet(self, other: Scope) -> Scope:
        """What both open."""
        theirs = other.by_dataset
        pairs = (item.meet(theirs[item.dataset]) for item in self.items if item.dataset in theirs)
        return Scope.of(item for item in pairs if item is not None)

    def without(self, datasets: frozenset[str]) -> Scope:
        """The scope less whole datasets (what a signatory unticked)."""
        return Scope(tuple(item for item in self.items if item.dataset not in datasets))

    def encode(self, catalogue: Catalogue) -> tuple[str, ...]:
        """The journal's form of every item, in order."""
        return tuple(item.encode(catalogue) for item in self.items)


@lru_cache(maxsize=8192)
def decode_item(text: str, catalogue: Catalogue) -> ScopeItem:
    """Read `dataset:form:from/to:mask` back. Raises Invalid."""
    try:
        dataset, form, months, mask_hex = text.split(":")
        first, last = months.split("/")
        mask = int(mask_hex, 16)
    except ValueError:
        raise Invalid("not an encoded scope item") from None
    item = catalogue.item(dataset)
    fields = tuple(sorted(name for name, bit in item.bits.items() if mask >> bit & 1))
    # One spelling only: int() would also read 0x1f, 1_f, 1F and digits of other scripts.
    if form not in FORMS or not fields or mask >> len(item.fields) or f"{mask:x}" != mask_hex:
        raise Invalid("not an encoded scope item")
    return ScopeItem(dataset, form, fields, Period.parse(first, last))


def decode(texts: Iterable[str], catalogue: Catalogue) -> Scope:
    """Read encoded items back into a scope. Raises Invalid."""
    return Scope.of(decode_item(text, catalogue) for text in texts)
