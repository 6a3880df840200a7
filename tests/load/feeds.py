"""Ready-made requests: each unique where the server looks (DPoP proof, Idempotency-Key), made before timing."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count, cycle
from typing import NamedTuple
from urllib.parse import urlencode

from consent.oauth.code import AuthCode, code_key
from consent.oauth.request import ASSERTION_TYPE
from node.journal.standing import log_year
from tests.load.parties import PURPOSE, REDIRECT, BankParty, Given, b64
from tests.load.records import months

PATH = "/v1/queries"
_VERIFIER = "bench-verifier-0123456789-0123456789-0123456789"
_RUN = secrets.token_hex(4)
_numbers = count()


class Ticket(NamedTuple):
    """A request as it goes over the wire, and for whom."""

    request: bytes
    given: Given


Maker = Callable[[], Ticket]


class Feed:
    """A queue of tickets; when it runs dry a ticket is made on the spot."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._ready: deque[Ticket] = deque()

    def fill(self, number: int) -> None:
        """Have at least so many ready."""
        while len(self._ready) < number:
            self._ready.append(self._maker())

    def take(self) -> Ticket:
        """The next one."""
        return self._ready.popleft() if self._ready else self._maker()


def proof(bank: BankParty, url: str, ath: str = "") -> str:
    """A DPoP proof for a POST (RFC 9449 §4.2)."""
    claims = {"htm": "POST", "htu": url, "jti": f"{_RUN}-{next(_numbers)}", "iat": int(time.time())}
    if ath:
        claims["ath"] = ath
    return bank.key.jws(bank.proof_head, json.dumps(claims, separators=(",", ":")).encode())


def query_body(given: Given, datasets: Sequence[str]) -> bytes:
    """What a bank asks."""
    first, last = months()
    items = [{"dataset": name, "period": {"from": first, "to": last}} for name in datasets]
    asked = {"subject": {"uscc": given.uscc}, "purpose": PURPOSE, "items": items}
    return json.dumps(asked, separators=(",", ":")).encode()


def query_maker(issuer: str, pool: Sequence[Given], datasets: Sequence[str], *, jwt: bool = False) -> Maker:
    """Queries over the pool in turn; `jwt` presents the naive peer's kind of token."""
    turn = cycle(pool)

    def make() -> Ticket:
        given = next(turn)
        token, ath = (given.jwt, given.jwt_ath) if jwt else (given.access, given.ath)
        headers = {
            "authorization": f"DPoP {token}",
            "dpop": proof(given.bank, issuer + PATH, ath),
            "idempotency-key": f"{_RUN}-{next(_numbers)}",
            "prefer": "wait=4",
        }
        return Ticket(_post(PATH, headers, query_body(given, datasets), "application/json"), given)

    return make


def looped(maker: Maker, number: int) -> Maker:
    """The same few requests again and again, for a peer that checks nothing and so cannot tell."""
    turn = cycle([maker() for _ in range(number)])
    return lambda: next(turn)


def push_maker(issuer: str, pool: Sequence[Given], datasets: Sequence[str]) -> Maker:
    """Pushed authorization requests."""
    turn = cycle(pool)
    items = [{"datatype": name, "required": True} for name in datasets]
    challenge = challenge_of(_VERIFIER)

    def make() -> Ticket:
        given = next(turn)
        details = {
            "type": "urn:xyd:enterprise-data:1",
            "subject": {"uscc": given.uscc},
            "purpose": {"code": PURPOSE, "product": "税易贷", "application_no": "A1"},
            "items": items,
            "validity": {"days": 30},
        }
        form = {
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "state": secrets.token_urlsafe(12),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([details], ensure_ascii=False),
        }
        return _form(issuer, "/oauth/par", given, form)

    return make


def refresh_maker(issuer: str, pool: Sequence[Given]) -> Maker:
    """Access tokens by refresh tokens."""
    turn = cycle(pool)

    def make() -> Ticket:
        given = next(turn)
        return _form(issuer, "/oauth/token", given, {"grant_type": "refresh_token", "refresh_token": given.refresh})

    return make


def code_maker(issuer: str, pool: Sequence[Given], store: Callable[[str, str], object]) -> Maker:
    """Access tokens by authorization codes, which `store` (key, value) keeps where the phone's flow would."""
    turn = cycle(pool)

    def make() -> Ticket:
        given, value = next(turn), secrets.token_urlsafe(32)
        expires_ms = int(time.time() * 1000) + 60_000
        code = AuthCode(
            given.bank.client_id, REDIRECT, challenge_of(_VERIFIER), "", given.grant_id, given.version, expires_ms
        )
        store(code_key(value), code.dump())
        form = {"grant_type": "authorization_code", "code": value, "redirect_uri": REDIRECT, "code_verifier": _VERIFIER}
        return _form(issuer, "/oauth/token", given, form)

    return make


def challenge_of(verifier: str) -> str:
    """PKCE S256 (RFC 7636 §4.2)."""
    return b64(sha256(verifier.encode()).digest())


def _form(issuer: str, path: str, given: Given, form: dict[str, str]) -> Ticket:
    bank, now = given.bank, int(time.time())
    who = {"iss": bank.client_id, "sub": bank.client_id, "aud": issuer, "jti": f"{_RUN}-{next(_numbers)}"}
    claims = {**who, "iat": now, "exp": now + 60}
    assertion = bank.key.jws(bank.assertion_head, json.dumps(claims, separators=(",", ":")).encode())
    whole = form | {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    headers = {"dpop": proof(bank, issuer + path)}
    return Ticket(_post(path, headers, urlencode(whole).encode(), "application/x-www-form-urlencoded"), given)


def _post(path: str, headers: dict[str, str], body: bytes, media: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"content-type: {media}", f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def this_log_year() -> int:
    """The log's year now."""
    return log_year(int(time.time() * 1000))
