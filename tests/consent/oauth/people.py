"""Two banks with keys, one enterprise with its word, and a desk at which whole flows run without any store.

The desk does what the flow above does with Valkey and SQL: it keeps pushed requests, codes, tokens and replay keys in
dictionaries and claims them once. Fakes are for time and chance only; everything decided is decided by the real parts.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from consent import catalogue
from consent.enterprise import issue_fictitious
from consent.grant import Terms
from consent.oauth import bank, decide, effects, pushed
from consent.oauth.code import AuthCode
from consent.oauth.errors import OAuth2Error, Reply
from consent.oauth.issuer import Issuer, Rules
from consent.oauth.jose import REGISTRY
from consent.oauth.onetime import Replay, replayed
from consent.oauth.request import Endpoint, FapiRequest, RawRequest, parse
from consent.oauth.token import AccessToken, TokenView, ath_of, token_view
from consent.purpose import template

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
CATALOGUE = catalogue.load()
RULES = Rules(Issuer("http://localhost:8080", b"0123456789abcdef"), CATALOGUE)
ENTERPRISE = issue_fictitious(1)
CALLBACK = "https://bank.example/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DETAILS: dict[str, Any] = {
    "type": "urn:xyd:enterprise-data:1",
    "subject": {"uscc": str(ENTERPRISE)},
    "purpose": {"code": "LOAN_APPLICATION", "product": "税易贷", "application_no": "A2026112300001"},
    "items": [
        {"datatype": "tax.vat_invoice_summary", "required": True},
        {"datatype": "social_insurance.si_contributions", "form": "model"},
    ],
}


@lru_cache(maxsize=32)
def key(kind: str, owner: str) -> Key:
    """A private key of an owner; made once a run."""
    if kind == "ES256":
        return ECKey.generate_key("P-256", parameters={"kid": f"{owner}-ec"})
    if kind == "PS256":
        return RSAKey.generate_key(2048, parameters={"kid": f"{owner}-rsa"})
    return OKPKey.generate_key("Ed25519", parameters={"kid": f"{owner}-ed"})


def sign(claims: dict[str, Any] | bytes, signer: Key, header: dict[str, Any]) -> str:
    """A compact JWS whose parts may be wrong on purpose; the signature is joserfc's, in the key's own algorithm."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), body))
    own = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}[signer.key_type]
    signature = REGISTRY.get_alg(own).sign(signed.encode(), signer)
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def public(signer: Key) -> dict[str, Any]:
    """The public JWK."""
    return dict(signer.as_dict(private=False))


@dataclass
class Person:
    """A bank's system: makes assertions, proofs and forms."""

    client_id: str
    alg: Any = "ES256"
    clock: datetime = NOW
    jose_alg: str = ""
    row: bank.Bank = field(init=False)

    def __post_init__(self) -> None:
        self.jose_alg = self.jose_alg or self.alg
        enrolment = bank.Enrolment(
            client_id=self.client_id,
            name="江南银行股份有限公司",
            org_uscc=str(issue_fictitious(90001)),
            licence_no="B0001H232010001",
            contact="service@bank.example",
            jwks={"keys": [public(self.key)]},
            alg=self.alg,
            redirect_uris=(CALLBACK, "https://bank.example/callback?branch=1"),
            purposes=("LOAN_APPLICATION", "POST_LOAN"),
        )
        self.row, _ = bank.enrol(enrolment, now=NOW)

    @property
    def key(self) -> Key:
        """The key that signs assertions and, here, proofs too."""
        return key(self.alg, self.client_id)

    @property
    def view(self) -> bank.BankView:
        """The snapshot."""
        return bank.view(self.row)

    def assertion(self, *, signer: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion; a claim given as None is left out."""
        at = int(self.clock.timestamp())
        full = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": RULES.issuer.url,
            "iat": at,
            "exp": at + 60,
            "jti": secrets.token_urlsafe(16),
        } | claims
        kept = {name: value for name, value in full.items() if value is not None}
        return sign(kept, signer or self.key, {"alg": self.jose_alg} | (header or {}))

    def proof(
        self,
        url: str,
        *,
        method: str = "POST",
        signer: Key | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A DPoP proof; a claim or header member given as None is left out."""
        signing = signer or self.key
        full = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(self.clock.timestamp()),
        } | claims
        head = {"typ": "dpop+jwt", "alg": self.jose_alg, "jwk": public(signing)} | (header or {})
        return sign(
            {name: value for name, value in full.items() if value is not None},
            signing,
            {name: value for name, value in head.items() if value is not None},
        )

    def authenticated(self, **form: str | None) -> dict[str, str]:
        """A form with a fresh assertion; None leaves a parameter out."""
        full: dict[str, str | None] = {"client_assertion_type": ASSERTION, "client_assertion": self.assertion()} | form
        return {name: value for name, value in full.items() if value is not None}

    def push_form(self, **form: str | None) -> dict[str, str]:
        """A pushed authorization request."""
        base: dict[str, str | None] = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "s-1",
            "authorization_details": json.dumps([DETAILS]),
        }
        return self.authenticated(**(base | form))


def raw(
    form: dict[str, str] | bytes, *, dpop: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> RawRequest:
    """A POST as ASGI hands it over."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    proof = () if dpop is None else ((b"dpop", dpop.encode()),)
    return RawRequest("POST", ((b"content-type", b"application/x-www-form-urlencoded"), *proof, *headers), body)


@dataclass
class Desk:
    """The flow without stores."""

    banks: dict[str, Person]
    now: datetime = NOW
    claimed: set[str] = field(default_factory=set)
    pushed: dict[str, str] = field(default_factory=dict)
    codes: dict[str, AuthCode] = field(default_factory=dict)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    grants: dict[str, Terms] = field(default_factory=dict)
    ended: list[effects.EndTokens] = field(default_factory=list)

    def later(self, seconds: float) -> None:
        """Time passes for everybody."""
        self.now += timedelta(seconds=seconds)
        for person in self.banks.values():
            person.clock = self.now

    def claim(self, replays: tuple[Replay, ...]) -> None:
        """Once only."""
        for replay in replays:
            if replay.key in self.claimed:
                raise replayed(replay)
            self.claimed.add(replay.key)

    def admit(self, endpoint: Endpoint, request: RawRequest) -> tuple[FapiRequest, effects.Authenticated]:
        """Parse, authenticate, claim."""
        parsed = parse(RULES.issuer, endpoint, request)
        person = self.banks.get(parsed.claimed_client_id)
        who = decide.authenticate(RULES, parsed, None if person is None else person.view, now=self.now)
        self.claim(who.replays)
        return parsed, who

    def push(self, request: RawRequest) -> Reply:
        """POST /par."""
        parsed, who = self.admit(Endpoint.PUSHED, request)
        done = decide.decide_push(RULES, parsed, who, now=self.now)
        self.pushed[done.key] = done.pushed.dump(CATALOGUE)
        return done.reply

    def visit(self, request_uri: str, client_id: str, extra: str = "") -> effects.Visited:
        """GET /authorize."""
        seen = pushed.Visit.parse((urlencode({"client_id": client_id, "request_uri": request_uri}) + extra).encode())
        stored = self.pushed.get(seen.key)
        person = self.banks.get(seen.client_id)
        found = None if stored is None else pushed.Pushed.load(stored, CATALOGUE)
        return decide.decide_visit(seen, found, None if person is None else person.view, now=self.now)

    def give(self, visited: effects.Visited) -> Terms:
        """The enterprise's word for what was asked."""
        asked = visited.pushed.asked
        grant = Terms(
            id=f"grt_{len(self.grants)}",
            version=1,
            status="active",
            client_id=visited.client.client_id,
            enterprise=asked.enterprise,
            purpose=asked.template.code,
            template_sha256=template(asked.template.code, CATALOGUE).sha256,
            scope=asked.scope,
            not_before_ms=ms(self.now),
            not_after_ms=ms(asked.end(self.now)),
            max_queries=asked.max_queries,
            used=0,
        )
        self.grants[grant.id] = grant
        return grant

    def approve(self, request_uri: str, client_id: str) -> dict[str, str]:
        """Yes: the parameters of the redirect."""
        visited = self.visit(request_uri, client_id)
        done = decide.decide_yes(RULES, visited, self.give(visited), now=self.now)
        del self.pushed[done.pushed_key]
        self.codes[done.code_key] = done.code
        return dict(parse_qsl(urlsplit(done.location).query))

    def token(self, request: RawRequest) -> Reply:
        """POST /token."""
        parsed, who = self.admit(Endpoint.TOKEN, request)
        wanted = decide.what_to_load(parsed)
        code, token = self.codes.get(wanted.code_key or ""), self._token(wanted.token_hash)
        named = code.grant_id if code is not None else token.grant_id if token is not None else ""
        loaded = effects.Loaded(code, token, self.grants.get(named))
        try:
            issue = decide.decide_token(RULES, parsed, who, loaded, now=self.now)
        except effects.CodeReplayed as again:
            self._end(again.ends)
            raise
        if issue.code_key is not None:
            self.codes[issue.code_key] = self.codes[issue.code_key].used(ms(self.now))
        for row in issue.tokens:
            self.tokens[row.hash] = row
        return issue.reply

    def introspect(self, request: RawRequest) -> Reply:
        """POST /introspect."""
        parsed, who = self.admit(Endpoint.INTROSPECT, request)
        return decide.decide_introspect(RULES, parsed, who, self._loaded(parsed), now=self.now)

    def revoke(self, request: RawRequest) -> Reply:
        """POST /revoke."""
        parsed, who = self.admit(Endpoint.REVOKE, request)
        done = decide.decide_revoke(RULES, parsed, who, self._loaded(parsed), now=self.now)
        if done.ends is not None:
            self._end(done.ends)
        return done.reply

    def _loaded(self, parsed: FapiRequest) -> effects.Loaded:
        token = self._token(decide.what_to_load(parsed).token_hash)
        return effects.Loaded(token=token, grant=self.grants.get(token.grant_id) if token is not None else None)

    def _token(self, wanted: str | None) -> TokenView | None:
        row = self.tokens.get(wanted or "")
        return None if row is None else token_view(row)

    def _end(self, ends: effects.EndTokens) -> None:
        self.ended.append(ends)
        for row in self.tokens.values():
            if row.grant_id == ends.grant_id and not row.ended_ms:
                row.ended_ms = ms(self.now)

    def withdraw(self, grant_id: str) -> None:
        """The enterprise takes it back."""
        self.grants[grant_id] = replace(self.grants[grant_id], status="revoked", version=2)

    # The short way through, for tests whose subject lies behind it.

    def code(self, person: Person, **form: str | None) -> str:
        """Push and approve."""
        body = self.push(raw(person.push_form(**form), dpop=person.proof(RULES.issuer.pushed_url))).body
        assert body is not None
        return self.approve(str(body["request_uri"]), person.client_id)["code"]

    def redeem(self, person: Person, code: str, **form: str | None) -> Reply:
        """Exchange a code."""
        full: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | form
        return self.token(raw(person.authenticated(**full), dpop=person.proof(RULES.issuer.token_url)))

    def tokens_of(self, person: Person) -> dict[str, Any]:
        """Push, approve, redeem."""
        body = self.redeem(person, self.code(person)).body
        assert body is not None
        return dict(body)

    def refresh(self, person: Person, value: str, **form: str | None) -> Reply:
        """Refresh."""
        full: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": value} | form
        return self.token(raw(person.authenticated(**full), dpop=person.proof(RULES.issuer.token_url)))

    def active(self, person: Person, token: str) -> bool:
        """What introspection says."""
        body = self.introspect(raw(person.authenticated(token=token))).body
        assert body is not None
        return bool(body["active"])


def ms(moment: datetime) -> int:
    """Milliseconds."""
    return int(moment.timestamp() * 1000)


def refusal(error: OAuth2Error) -> tuple[int, str]:
    """Status and code as they leave the house."""
    reply = decide_reply(error)
    assert reply.body is not None
    return reply.status, str(reply.body["error"])


def decide_reply(error: OAuth2Error) -> Reply:
    """The rendered error."""
    from consent.oauth.errors import reply_of_error

    return reply_of_error(error)


__all__ = ["CALLBACK", "CHALLENGE", "DETAILS", "NOW", "RULES", "VERIFIER", "Desk", "Person", "ath_of"]
