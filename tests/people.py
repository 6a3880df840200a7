"""Three people for the whole suite: a bank with a key, an enterprise whose signatory gives and takes back, a regulator.

They bring acts for the journal (what the phone and the OAuth doors would append) and, at the bank's door, requests with
a fresh DPoP proof (RFC 9449 §4.2). Nothing here knows a database or a running node.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from joserfc.jwk import ECKey

from consent import catalogue
from consent.enterprise import CreditCode, issue_fictitious
from consent.evidence import Evidence, Kind
from consent.grant import Signed, Terms, give, revoke
from consent.oauth.bank import Enrolment, enrol
from consent.oauth.jose import REGISTRY
from consent.oauth.token import ath_of, born
from consent.period import Month, Period
from consent.purpose import template
from consent.scope import Scope, ScopeItem
from node.clock import to_ms
from node.journal.act import Act, EndGrant, GrantLive, Insert

CATALOGUE = catalogue.load()
ISSUER = "http://localhost:8080"
PURPOSE = "LOAN_APPLICATION"
DATASETS = ("social_insurance.si_contributions", "tax.vat_invoice_summary")
FIRM_IN_THE_SANDBOX = 31
"""An enterprise that the sandbox departments know well."""


@dataclass
class Bank:
    """A bank's system. `issuer` is the address its proofs are made for."""

    client_id: str = "bank-a"
    issuer: str = ISSUER
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "k1"}, private=True))
    _head: str = field(default="", init=False)

    def __post_init__(self) -> None:
        public = {name: self.key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}
        self._head = _segment({"typ": "dpop+jwt", "alg": "ES256", "jwk": public})

    @property
    def jkt(self) -> str:
        """The thumbprint that its tokens are bound to (RFC 7638)."""
        return self.key.thumbprint()

    def admitted(self, now: datetime) -> Act:
        """The operator enrols it."""
        asked = Enrolment(
            client_id=self.client_id,
            name="江南银行股份有限公司",
            org_uscc=str(issue_fictitious(90001)),
            licence_no="B0001H232010001",
            contact="0512-00000000",
            jwks={"keys": [self.key.as_dict(private=False, alg="ES256", use="sig")]},
            alg="ES256",
            redirect_uris=("https://bank.example/callback",),
            purposes=(PURPOSE,),
        )
        row, evidence = enrol(asked, now=now)
        return Act((evidence,), (), (Insert(row),))

    def token(self, grant: Terms, now: datetime) -> tuple[str, Act]:
        """An access token under a grant: its value, and the act that issues it."""
        value, row = born("access", grant, jkt=self.jkt, items="", now_ms=to_ms(now))
        public: dict[str, str | int | tuple[str, ...]] = {
            "grant": grant.id,
            "ver": grant.version,
            "exp": row.expires_ms,
        }
        evidence = Evidence(Kind.TOKEN, self.client_id, grant.enterprise, public)
        return value, Act((evidence,), (GrantLive(grant.id, grant.version),), (Insert(row),))

    def proof(self, path: str, token: str, now_s: float) -> str:
        """A DPoP proof for one POST with a token."""
        claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": self.issuer + path, "iat": int(now_s)}
        signed = f"{self._head}.{_segment(claims | {'ath': ath_of(token)})}"
        signature = REGISTRY.get_alg("ES256").sign(signed.encode(), self.key)
        return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def headers(self, path: str, token: str, now: datetime, key: str = "") -> dict[str, str]:
        """The headers of one call."""
        return {
            "Authorization": f"DPoP {token}",
            "DPoP": self.proof(path, token, now.timestamp()),
            "Idempotency-Key": key or secrets.token_urlsafe(12),
            "Content-Type": "application/json",
            "Prefer": "wait=5",
        }


@dataclass
class Enterprise:
    """An enterprise with a signatory who decides on the phone."""

    code: CreditCode = field(default_factory=lambda: issue_fictitious(FIRM_IN_THE_SANDBOX))
    signatory: str = "sig_1"

    def gives(self, bank: Bank, now: datetime, *, most: int = 1000, days: int = 30) -> tuple[Terms, Act]:
        """A grant over `DATASETS` for a year back, and the act that signs it."""
        bounds = template(PURPOSE, CATALOGUE).datasets
        this = Month(now.year * 12 + now.month - 1)
        period = Period(this.shift(-12), this.shift(-1))
        scope = Scope.of(ScopeItem(name, "read", tuple(sorted(bounds[name].fields)), period) for name in DATASETS)
        agreed = Terms(
            id=f"grt_{secrets.token_urlsafe(9)}",
            version=1,
            status="active",
            client_id=bank.client_id,
            enterprise=self.code,
            purpose=PURPOSE,
            template_sha256=template(PURPOSE, CATALOGUE).sha256,
            scope=scope,
            not_before_ms=to_ms(now),
            not_after_ms=to_ms(now + timedelta(days=days)),
            max_queries=most,
            used=0,
        )
        signed = Signed("{}", sha256(b"{}").hexdigest(), "{}", self.signatory, "L1")
        row, evidence = give(agreed, signed, scope.encode(CATALOGUE), now=now)
        return agreed, Act((evidence,), (), (Insert(row),))

    def takes_back(self, grant: Terms) -> Act:
        """The act that revokes a grant."""
        ended, evidence = revoke(grant, by="enterprise", why="no_longer_needed")
        return Act((evidence,), (), (EndGrant(grant.id, ended.version, "enterprise", "no_longer_needed"),))

    def question(self) -> bytes:
        """The body of a query for everything granted."""
        return json.dumps({"subject": {"uscc": str(self.code)}, "purpose": PURPOSE}).encode()


@dataclass(frozen=True)
class Regulator:
    """Holds the token that opens the entries of the log."""

    token: str = "regulator-token-of-the-tests"


def _segment(members: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode()).rstrip(b"=").decode()
