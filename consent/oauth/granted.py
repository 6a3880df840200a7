"""authorization_details the other way: what was granted, told to the bank (RFC 9396 §7), or narrowed by it (§6).

The bank must read the answer: an enterprise may have unticked whole items.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consent.catalogue import Catalogue
from consent.enterprise import CreditCode
from consent.errors import Refusal
from consent.grant import Terms
from consent.oauth.details import actions_of, check_frame, fields_of
from consent.oauth.errors import InvalidDetails, details_error
from consent.oauth.issuer import Rules
from consent.oauth.rar import TYPE, EnterpriseData, Wanted, read
from consent.period import Month, Period
from consent.purpose import template
from consent.scope import Scope, ScopeItem


def granted_details(grant: Terms, scope: Scope, rules: Rules) -> list[dict[str, Any]]:
    """The granted object for token and introspection answers: `scope` is the grant's or a token's narrower one."""
    found = template(grant.purpose, rules.catalogue)
    return [
        {
            "type": TYPE,
            "locations": [rules.issuer.resource_url],
            "actions": list(actions_of(scope)),
            "subject": {"uscc": str(grant.enterprise)},
            "purpose": {"code": grant.purpose},
            "items": [_item(each, rules.catalogue) for each in scope],
            "validity": {"not_after": _instant(grant.not_after_ms)},
            "use": {"fetch": found.fetch, "max_queries": grant.max_queries},
            "retention": {"days": found.retention_days, "delete_on_revoke": True},
            "onward": {"transfer": False, "sub_processing": False, "model_training": False},
        }
    ]


def _item(item: ScopeItem, catalogue: Catalogue) -> dict[str, Any]:
    order = catalogue.item(item.dataset).bits
    return {
        "datatype": item.dataset,
        "form": item.form,
        "fields": sorted(item.fields, key=lambda name: order[name]),
        "period": {"from": str(item.period.first), "to": str(item.period.last)},
    }


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def narrow(text: str, grant: Terms, rules: Rules) -> Scope:
    """A narrower scope named at a refresh: equal or less in every member. Raises InvalidDetails for anything else.

    What an item leaves out (fields, form, months) is what the grant says.
    """
    asked = read(text)
    try:
        if CreditCode.parse(asked.subject.uscc) != grant.enterprise or asked.purpose.code != grant.purpose:
            raise InvalidDetails("a refresh keeps the enterprise and the purpose of the grant")
        scope = Scope.of(_narrowed(each, grant.scope, rules.catalogue) for each in asked.items)
        check_frame(asked, scope, rules)
    except Refusal as refusal:
        raise details_error(refusal) from None
    if not scope.within(grant.scope):
        raise InvalidDetails("a refresh may only narrow what was granted")
    _check_kept(asked, grant)
    return scope


def _narrowed(wanted: Wanted, granted: Scope, catalogue: Catalogue) -> ScopeItem:
    whole = granted.by_dataset.get(wanted.datatype)
    if whole is None:
        raise InvalidDetails("a refresh may only narrow what was granted")
    fields = fields_of(wanted, catalogue.item(whole.dataset), whole.fields)
    period = whole.period
    if wanted.period is not None:
        last = period.last if wanted.period.last is None else Month.parse(wanted.period.last)
        period = Period(Month.parse(wanted.period.first), last)
    return ScopeItem(whole.dataset, wanted.form or whole.form, fields, period)


def _check_kept(asked: EnterpriseData, grant: Terms) -> None:
    """Term and number belong to the grant; they may be repeated. A token cannot carry its own: refused, not dropped."""
    until = asked.validity.not_after
    same_end = until is None or int(until.timestamp()) == grant.not_after_ms // 1000
    if asked.validity.days is not None or not same_end or asked.use.max_queries not in (None, grant.max_queries):
        raise InvalidDetails("a refresh narrows items only; validity and use stay those of the grant")
