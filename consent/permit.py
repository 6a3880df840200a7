"""Permit 调用许可: the only thing that opens a source, minted here and nowhere else.

Five legal grounds exist (五种服务方式); this node serves 授权查询 (consent). The other four are typed, and refused
until their own rules are built.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent.enterprise import CreditCode
from consent.errors import NotGranted, OverBound, Unsupported
from consent.grant import Terms
from consent.scope import Scope, ScopeItem

_MINT = object()


class Ground(StrEnum):
    """Why a source may be asked."""

    CONSENT = "consent"  # 授权查询
    DUTY = "duty"  # 依职权查询
    GOVERNMENT = "gov"  # 政务共享
    REAL_NAME = "realname"  # 实名认证查询
    PUBLIC = "public"  # 依法公开


@dataclass(frozen=True, slots=True, init=False)
class Permit:
    """Exactly what may be fetched, for one query. `items` are sorted by dataset."""

    id: str
    ground: Ground
    client_id: str
    enterprise: CreditCode
    purpose: str
    grant_id: str
    grant_version: int
    items: tuple[ScopeItem, ...]

    def __init__(self, mint: object, /, **members: object) -> None:
        if mint is not _MINT:
            raise TypeError("a Permit is minted by admit() only")
        for name, value in members.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a bank asks in one query. `scope` None = everything the grant opens in `form`."""

    query_id: str
    client_id: str
    enterprise: CreditCode
    purpose: str
    scope: Scope | None
    form: str = "read"


def admit(ground: Ground, ask: Ask, grant: Terms | None, *, now_ms: int) -> Permit:
    """Mint the permit for one query, in numbered steps.

    1. the ground is one this node serves (Unsupported)
    2. a grant exists, for this bank and this enterprise (NotGranted, the same answer in every case)
    3. the grant is in force (GrantEnded)
    4. the purpose is the granted one (OverBound)
    5. what is asked lies within the grant: dataset, form, fields, months (OverBound)
    """
    if ground is not Ground.CONSENT:
        raise Unsupported("this ground is not served yet", code="ground.unsupported", extra={"ground": ground.value})
    if grant is None or grant.client_id != ask.client_id or grant.enterprise != ask.enterprise:
        raise NotGranted("no such enterprise, or no consent of it")
    grant.live(now_ms)
    if ask.purpose != grant.purpose:
        raise OverBound("the consent was given for another purpose", code="consent.purpose", extra={"limit": "purpose"})
    scope = _granted_in_form(grant.scope, ask.form) if ask.scope is None else ask.scope
    if not scope.items or not scope.within(grant.scope):
        raise OverBound("more than the consent covers", code="consent.scope", extra=_beyond(scope, grant.scope))
    return Permit(
        _MINT,
        id=ask.query_id,
        ground=ground,
        client_id=ask.client_id,
        enterprise=ask.enterprise,
        purpose=ask.purpose,
        grant_id=grant.id,
        grant_version=grant.version,
        items=scope.items,
    )


def _granted_in_form(granted: Scope, form: str) -> Scope:
    """Everything granted that may be used in the form: `read` takes readable items, `model` takes both."""
    if form == "model":
        return Scope(tuple(ScopeItem(i.dataset, "model", i.fields, i.period) for i in granted if i.form != "verify"))
    return Scope(tuple(item for item in granted if item.form == form))


def _beyond(asked: Scope, granted: Scope) -> dict[str, str]:
    theirs = granted.by_dataset
    for item in asked:
        if item.dataset not in theirs or not item.within(theirs[item.dataset]):
            return {"limit": item.dataset}
    return {"limit": "items"}
