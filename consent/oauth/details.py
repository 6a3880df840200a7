"""authorization_details of type `urn:xyd:enterprise-data:1` (RFC 9396): what a bank asks, read strictly.

Whatever is left out is filled from the purpose template; whatever goes beyond it is refused here, at the pushed
request, naming the bound: the enterprise never sees a request that may not be granted.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from consent.canonical import digest
from consent.catalogue import Catalogue, Form, Item
from consent.document import CLAUSE_VERSION, CLAUSES
from consent.enterprise import CreditCode
from consent.errors import Invalid, OverBound, Refusal, Unsupported
from consent.oauth.bank import BankView
from consent.oauth.errors import InvalidDetails, details_error
from consent.oauth.issuer import Rules
from consent.oauth.rar import EnterpriseData, Months, Validity, Wanted, read
from consent.period import Month, Period, month_of
from consent.purpose import DatasetBound, Template, template, templates
from consent.scope import Scope, ScopeItem, decode

ACTIONS: Final[dict[Form, tuple[str, ...]]] = {"read": ("assess", "query"), "model": ("assess",), "verify": ()}
"""What a form opens: rows that may be read may also be scored."""
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class AskedConsent:
    """What a bank asks, complete and within the template. `days` run from the decision; `not_after` caps them."""

    enterprise: CreditCode
    template: Template
    scope: Scope
    required: frozenset[str]
    days: int
    not_after: datetime | None
    max_queries: int
    product: str
    product_id: str
    application_no: str
    amount: str
    text: str

    def end(self, now: datetime) -> datetime:
        """When a consent given now ends."""
        end = self.template.end(self.days, now)
        return end if self.not_after is None else min(end, self.not_after)

    def pack(self, catalogue: Catalogue) -> dict[str, Any]:
        """As a JSON value for the short-lived store."""
        return {
            "enterprise": str(self.enterprise),
            "purpose": self.template.code,
            "tpl": self.template.sha256,
            "items": list(self.scope.encode(catalogue)),
            "required": sorted(self.required),
            "days": self.days,
            "not_after": None if self.not_after is None else self.not_after.isoformat(),
            "max_queries": self.max_queries,
            "words": [self.product, self.product_id, self.application_no, self.amount, self.text],
        }

    @staticmethod
    def unpack(packed: dict[str, Any], catalogue: Catalogue) -> AskedConsent:
        """Back from the store. Raises InvalidDetails when the template changed meanwhile: what was checked is gone."""
        found = templates(catalogue).get(packed["purpose"])
        if found is None or found.sha256 != packed["tpl"]:
            raise InvalidDetails("the purpose template has changed; push the request again")
        product, product_id, application_no, amount, text = packed["words"]
        return AskedConsent(
            enterprise=CreditCode.parse(packed["enterprise"]),
            template=found,
            scope=decode(packed["items"], catalogue),
            required=frozenset(packed["required"]),
            days=packed["days"],
            not_after=None if packed["not_after"] is None else datetime.fromisoformat(packed["not_after"]),
            max_queries=packed["max_queries"],
            product=product,
            product_id=product_id,
            application_no=application_no,
            amount=amount,
            text=text,
        )


def resolve(text: str, bank: BankView, rules: Rules, *, now: datetime) -> AskedConsent:
    """What is asked, completed from the purpose template and within it. Raises InvalidDetails naming the bound."""
    asked = read(text)
    try:
        return _resolve(asked, bank, rules, now)
    except Refusal as refusal:
        raise details_error(refusal) from None


def _resolve(asked: EnterpriseData, bank: BankView, rules: Rules, now: datetime) -> AskedConsent:
    """1. enterprise and purpose  2. items  3. term and number  4. what cannot be chosen  5. the template's check."""
    enterprise = CreditCode.parse(asked.subject.uscc)
    found = template(asked.purpose.code, rules.catalogue)
    if found.code not in bank.purposes:
        raise Invalid("the client is not admitted for this purpose", extra={"member": "purpose.code"})
    scope = Scope.of(_item(each, found, rules.catalogue, now) for each in asked.items)
    days, not_after = _term(asked.validity, found, now)
    queries = found.max_queries if asked.use.max_queries is None else asked.use.max_queries
    _check_fixed(asked, found)
    check_frame(asked, scope, rules)
    found.check(scope, days=days, queries=queries, now=now)
    words = asked.purpose
    return AskedConsent(
        enterprise=enterprise,
        template=found,
        scope=scope,
        required=frozenset(each.datatype for each in asked.items if each.required),
        days=days,
        not_after=not_after,
        max_queries=queries,
        product=_shown("purpose.product", words.product),
        product_id=_shown("purpose.product_id", words.product_id),
        application_no=_shown("purpose.application_no", words.application_no),
        amount=words.amount or "",
        text=_shown("purpose.text", words.text),
    )


def _item(wanted: Wanted, found: Template, catalogue: Catalogue, now: datetime) -> ScopeItem:
    item = catalogue.item(wanted.datatype)
    bound = found.datasets.get(item.name)
    if bound is None:
        raise OverBound("the purpose does not cover this item", extra={"limit": "dataset", "asked": item.name})
    form = wanted.form or bound.forms[0]
    if form == "verify":
        raise Unsupported("this form is not served yet", extra={"limit": f"{item.name}.form", "asked": form})
    return ScopeItem(item.name, form, fields_of(wanted, item, bound.fields), _period(wanted.period, bound, now))


def fields_of(wanted: Wanted, item: Item, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """The fields asked for with the item's key fields, or `otherwise`; sorted. Raises Invalid for an unknown one."""
    if wanted.fields is None:
        return tuple(sorted(otherwise))
    asked = frozenset(wanted.fields)
    item.mask(asked)
    keys = {each.name for each in item.fields if "k" in each.flags and each.name in otherwise}
    return tuple(sorted(asked | keys))


def _period(wanted: Months | None, bound: DatasetBound, now: datetime) -> Period:
    this_month = month_of(now)
    if wanted is None:
        return Period(this_month.shift(-bound.lookback_months), this_month.shift(-1))
    return Period(Month.parse(wanted.first), this_month.shift(-1) if wanted.last is None else Month.parse(wanted.last))


def _term(wanted: Validity, found: Template, now: datetime) -> tuple[int, datetime | None]:
    if wanted.not_after is None:
        return (found.default_days if wanted.days is None else wanted.days), None
    if wanted.days is not None or wanted.not_after.tzinfo is None:
        raise Invalid("validity is days, or one instant with its offset", extra={"member": "validity"})
    try:
        until = wanted.not_after.astimezone(UTC)
    except OverflowError:
        raise Invalid("validity ends beyond the calendar", extra={"member": "validity.not_after"}) from None
    left_s = (until - now).total_seconds()
    if left_s <= 0:
        raise Invalid("validity has ended already", extra={"member": "validity.not_after"})
    return int(-(-left_s // _DAY_S)), until


def _check_fixed(asked: EnterpriseData, found: Template) -> None:
    """What the template and the clauses settle may be repeated by the bank, not changed."""
    if asked.use.fetch not in (None, found.fetch):
        raise OverBound("the purpose settles how data are fetched", extra={"limit": "use.fetch", "max": found.fetch})
    if asked.retention.days not in (None, found.retention_days) or not asked.retention.delete_on_revoke:
        raise OverBound("the purpose settles retention", extra={"limit": "retention", "max": found.retention_days})
    if asked.onward.transfer or asked.onward.sub_processing or asked.onward.model_training:
        raise OverBound("handing on is never part of a consent", extra={"limit": "onward"})
    name, _, version = CLAUSE_VERSION.partition("/")
    shown = asked.notice
    if (shown.template, shown.version, shown.sha256) != (
        shown.template and name,
        shown.version and version,
        shown.sha256 and digest(list(CLAUSES)),
    ):
        raise Invalid("other clauses are shown than the notice names", extra={"member": "notice"})


def check_frame(asked: EnterpriseData, scope: Scope, rules: Rules) -> None:
    """Locations must be this node's, actions such as the forms open. Raises Invalid."""
    home = rules.issuer.url
    if any(each != home and not each.startswith(home + "/") for each in asked.locations or ()):
        raise Invalid("locations must be this node", extra={"member": "locations"})
    if set(asked.actions or ()) - set(actions_of(scope)):
        raise Invalid("actions must be query or assess, as the forms allow", extra={"member": "actions"})


def actions_of(scope: Scope) -> tuple[str, ...]:
    """What the scope's forms let a bank do, sorted."""
    return tuple(sorted({action for item in scope for action in ACTIONS[item.form]}))


def _shown(member: str, text: str) -> str:
    """A bank's words stand on the phone as they are: nothing invisible, nothing that turns the reading direction."""
    if any(unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp") for char in text):
        raise Invalid("a text holds characters that cannot be shown", extra={"member": member})
    return text.strip()
