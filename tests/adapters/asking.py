"""Permits for tests, minted by the only place that mints them, and department answers made by hand."""

import asyncio
import json
from datetime import date

from consent.catalogue import load
from consent.enterprise import CreditCode, issue_fictitious
from consent.grant import Terms
from consent.period import Period
from consent.permit import Ask, Ground, Permit, admit
from consent.scope import Scope, ScopeItem

KEY = "sandbox-key"
TODAY = date(2026, 11, 23)
MONTHS = Period.parse("2024-11", "2026-10")
GOOD, ARREARS, WATER_DOWN, THIN = 31, 82, 48, 117
VAT = "tax.vat_invoice_summary"
POWER = "electricity.electricity_usage"


def item(dataset: str, fields: tuple[str, ...] = (), period: Period = MONTHS) -> ScopeItem:
    """A scope item; no fields = every field of the dataset."""
    return ScopeItem(dataset, "read", tuple(sorted(fields or load().item(dataset).field_names)), period)


def permit(ent: int, *items: ScopeItem) -> Permit:
    """A permit for a sandbox firm, as admit() mints it."""
    scope, firm = Scope.of(items), issue_fictitious(ent)
    terms = Terms("grt_t", 1, "active", "bank", firm, "LOAN_APPLICATION", "0" * 64, scope, 0, 10**14, 9, 0)
    ask = Ask("qry_t", "bank", firm, "LOAN_APPLICATION", scope)
    return admit(Ground.CONSENT, ask, terms, now_ms=1)


def soon(seconds: float = 10.0) -> float:
    """A deadline on the running loop's clock."""
    return asyncio.get_running_loop().time() + seconds


def answer(dataset: str, firm: CreditCode, rows: list[dict[str, object]], /, **other: object) -> bytes:
    """A department's answer in compact JSON; `other` replaces or adds members of the envelope."""
    envelope = {"uscc": firm, "dataset": dataset, "as_of": "2026-11-20", "provenance": "simulated:seed=1"}
    return json.dumps(envelope | {"records": rows} | other, ensure_ascii=False, separators=(",", ":")).encode()
