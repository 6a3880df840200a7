"""The review: what a bank asks, as choices a person can make, and the choice that came back. Pure.

Required items cannot be left out; optional ones are left out unless switched on. The period is one of three, each with
its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from consent.catalogue import Catalogue
from consent.document import CLAUSES, Agreement, Recipient, build, document_bytes
from consent.grant import Terms
from consent.oauth.bank import BankView
from consent.oauth.details import AskedConsent
from consent.oauth.issuer import Rules
from consent.scope import Scope, ScopeItem
from node.clock import from_ms, to_ms
from node.flows.phone.asks import Ask, origin_of
from node.flows.phone.people import Acting

LADDER = (1, 3, 7, 15, 30, 60, 90, 180)
"""Round numbers of days to offer below the number asked for."""


class ChoiceRefused(Exception):
    """The form was not complete. `errors` are keys of texts; `ticked` and `days` what to show again."""

    def __init__(self, errors: tuple[str, ...], ticked: frozenset[str], days: int) -> None:
        super().__init__(" ".join(errors))
        self.errors = errors
        self.ticked = ticked
        self.days = days


@dataclass(frozen=True, slots=True)
class ItemShown:
    """One information item on a page. `fields` in catalogue order; `first` and `last` are `YYYY-MM`."""

    dataset: str
    form: str
    fields: tuple[str, ...]
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class PeriodShown:
    """A choice of days and when it would end."""

    days: int
    end: datetime


@dataclass(frozen=True, slots=True)
class Review:
    """The review page. `origin` is the bank's, where refusing leads."""

    rid: str
    asked: AskedConsent
    bank: Recipient
    required: tuple[ItemShown, ...]
    optional: tuple[ItemShown, ...]
    periods: tuple[PeriodShown, ...]
    days: int
    until: datetime
    expires: datetime
    origin: str
    ticked: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()
    clauses: tuple[str, ...] = CLAUSES


@dataclass(frozen=True, slots=True)
class Choice:
    """What the signatory decided: optional items left out, and for how many days."""

    dropped: frozenset[str]
    days: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An agreement ready to be signed: its terms and the exact text, which no later step changes."""

    terms: Terms
    text: str = field(repr=False)


def show_item(item: ScopeItem, rules: Rules) -> ItemShown:
    """A scope item with its fields in the catalogue's order."""
    order = rules.catalogue.item(item.dataset).bits
    fields = tuple(sorted(item.fields, key=lambda name: order[name]))
    return ItemShown(item.dataset, item.form, fields, str(item.period.first), str(item.period.last))


def periods(asked: AskedConsent, now: datetime) -> tuple[PeriodShown, ...]:
    """At most three choices of days, the longest being what was asked for, each with its end."""
    shorter = [days for days in LADDER if days < asked.days][-2:]
    return tuple(PeriodShown(days, end_of(asked, days, now)) for days in (*shorter, asked.days))


def end_of(asked: AskedConsent, days: int, now: datetime) -> datetime:
    """When a consent of so many days ends; never after the instant the bank named."""
    end = asked.template.end(days, now)
    return end if asked.not_after is None else min(end, asked.not_after)


def review(ask: Ask, bank: BankView, rules: Rules, *, now: datetime, refused: ChoiceRefused | None = None) -> Review:
    """The page for a request, or for a form that came back incomplete."""
    asked = ask.pushed.asked
    choices = periods(asked, now)
    offered = [each.days for each in choices]
    wanted = min(asked.template.default_days, asked.days) if refused is None else refused.days
    chosen = next((each for each in choices if each.days == wanted), choices[-1])
    split: tuple[list[ItemShown], list[ItemShown]] = ([], [])
    for item in asked.scope:
        split[item.dataset not in asked.required].append(show_item(item, rules))
    return Review(
        rid=ask.rid,
        asked=asked,
        bank=bank.recipient,
        required=tuple(split[0]),
        optional=tuple(split[1]),
        periods=choices,
        days=chosen.days if chosen.days in offered else offered[-1],
        until=chosen.end,
        expires=from_ms(ask.expires_ms),
        origin=origin_of(ask.pushed),
        ticked=frozenset() if refused is None else refused.ticked,
        errors=() if refused is None else refused.errors,
    )


def choose(form: Mapping[str, Sequence[str]], asked: AskedConsent, *, now: datetime) -> Choice:
    """Read the form. Raises ChoiceRefused with every reason at once."""
    optional = {item.dataset for item in asked.scope} - asked.required
    ticked = frozenset(form.get("optional", ()))
    days_text = (form.get("days") or ("",))[0]
    days = int(days_text) if days_text.isascii() and days_text.isdigit() and len(days_text) <= 4 else 0
    errors = []
    if not ticked <= optional or not (asked.required or ticked):
        errors.append("error.optional")
    if days not in [each.days for each in periods(asked, now)]:
        errors.append("error.period")
    if list(form.get("declare", ())) != ["yes"]:
        errors.append("error.declare")
    if errors:
        raise ChoiceRefused(tuple(errors), ticked & optional, days)
    return Choice(frozenset(optional - ticked), days)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What chance gives a draft: the grant's id and the document's nonce."""

    grant_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Who agrees with whom, before which node."""

    acting: Acting
    bank: BankView
    node_id: str
    catalogue: Catalogue


def draft(asked: AskedConsent, choice: Choice, parties: Parties, numbers: Numbers, *, now: datetime) -> Draft:
    """The agreement as a document. Raises OverBound when the template no longer covers it (a month may have passed)."""
    scope: Scope = asked.scope.without(choice.dropped)
    asked.template.check(scope, days=choice.days, queries=asked.max_queries, now=now)
    # Whole seconds, because the document states seconds and the grant must not differ from it.
    begins = now.replace(microsecond=0)
    ends = end_of(asked, choice.days, begins)
    agreement = Agreement(
        grant_id=numbers.grant_id,
        template=asked.template,
        scope=scope,
        not_before=begins,
        not_after=ends,
        max_queries=asked.max_queries,
        product=asked.product,
        application_no=asked.application_no,
        nonce=numbers.nonce,
    )
    recipient = parties.bank.recipient
    document = build(agreement, parties.acting.signer, recipient, node=parties.node_id, catalogue=parties.catalogue)
    terms = Terms(
        id=numbers.grant_id,
        version=1,
        status="active",
        client_id=recipient.client_id,
        enterprise=parties.acting.enterprise,
        purpose=asked.template.code,
        template_sha256=asked.template.sha256,
        scope=scope,
        not_before_ms=to_ms(begins),
        not_after_ms=to_ms(ends),
        max_queries=asked.max_queries,
        used=0,
    )
    return Draft(terms, document_bytes(document).decode())
