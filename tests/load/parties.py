"""The parties of the bench: forty banks with keys, thousands of grants with tokens, put straight into the database.

Rows are born where the node bears them (`enrol`, `give`, `born`) and copied in bulk, as they would stand after the
phone's consent: document, signature and subject row included. Nothing of it is measured.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlmodel import SQLModel

from consent.catalogue import load
from consent.enterprise import issue_fictitious
from consent.grant import Signed, Terms, give
from consent.oauth.bank import Bank, Enrolment, enrol
from consent.oauth.token import ath_of, born
from consent.period import Month, Period
from consent.purpose import templates
from consent.scope import Scope, ScopeItem
from node.clock import to_ms, utc_now
from node.journal.ledger import insert_parts
from node.journal.standing import log_year
from node.journal.subjects import SubjectKeys
from node.journal.tables import Subject
from tests.load.records import DATASETS, fields_of, months

BANKS = 40
HOT = 1_000
"""Grants that queries come back to."""
COLD = 4_000
"""Grants whose first query is the measured one."""
PURPOSE = "LOAN_APPLICATION"
REDIRECT = "https://bank.example/callback"
_P256 = ec.ECDSA(hashes.SHA256())


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A P-256 key that signs compact JWS; 40 µs a signature."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (b64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
        self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        self.jkt = b64(sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest())

    def head(self, **members: Any) -> str:
        """The segment of a protected header."""
        return b64(json.dumps({"alg": "ES256"} | members, separators=(",", ":")).encode())

    def jws(self, head: str, claims: bytes) -> str:
        """A compact JWS of a header segment and a payload."""
        signed = f"{head}.{b64(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), _P256))
        return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class BankParty(NamedTuple):
    """A bank: its id, its key and the header segments of its proofs and assertions."""

    client_id: str
    key: Key
    proof_head: str
    assertion_head: str


class Given(NamedTuple):
    """A grant as its bank holds it. `jwt` is the access token of the naive peer, which verifies one itself."""

    bank: BankParty
    grant_id: str
    version: int
    uscc: str
    access: str
    ath: str
    refresh: str
    jwt: str
    jwt_ath: str


@dataclass(frozen=True)
class Parties:
    """Everybody, and the issuer key of the naive peer's tokens."""

    banks: tuple[BankParty, ...]
    hot: tuple[Given, ...]
    cold: tuple[Given, ...]
    issuer_jwk: dict[str, str]


def new_bank(number: int) -> BankParty:
    """A fresh bank."""
    key = Key()
    return BankParty(
        f"bench-bank-{number:02d}", key, key.head(typ="dpop+jwt", jwk=key.jwk), key.head(kid=f"k{number}", typ="JWT")
    )


def bank_row(bank: BankParty, number: int, now: datetime) -> Bank:
    """Its row."""
    jwk = bank.key.jwk | {"kid": f"k{number}", "alg": "ES256", "use": "sig"}
    asked = Enrolment(
        client_id=bank.client_id,
        name=f"基准测试银行{number:02d}",
        org_uscc=str(issue_fictitious(80_000_000 + number)),
        licence_no=f"B{number:04d}H332",
        contact="0512-00000000",
        jwks={"keys": [jwk]},
        alg="ES256",
        redirect_uris=(REDIRECT,),
        purposes=(PURPOSE,),
    )
    return enrol(asked, now=now)[0]


async def seed(dsn: str, sealing_key: Path, issuer: str) -> Parties:
    """Put everybody into a migrated database."""
    now = utc_now()
    banks = tuple(new_bank(number) for number in range(BANKS))
    maker = _Maker(banks, now, issuer)
    given = [maker.give(serial) for serial in range(1, HOT + COLD + 1)]
    keys = SubjectKeys(bytes.fromhex(sealing_key.read_text()))
    subjects = [_subject(keys, one.uscc, now) for one in given]
    connection = await asyncpg.connect(dsn)
    try:
        await _copy(connection, [bank_row(bank, number, now) for number, bank in enumerate(banks)])
        for rows in (maker.grants, maker.tokens, subjects):
            await _copy(connection, rows)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return Parties(banks, tuple(given[:HOT]), tuple(given[HOT:]), maker.issuer_key.jwk)


class _Maker:
    """Gives grants and tokens; keeps their rows."""

    def __init__(self, banks: tuple[BankParty, ...], now: datetime, issuer: str) -> None:
        catalogue = load()
        first, last = months()
        period = Period(Month.parse(first), Month.parse(last))
        self._scope = Scope.of(ScopeItem(name, "read", fields_of(name), period) for name in DATASETS)
        self._encoded = self._scope.encode(catalogue)
        self._template = templates(catalogue)[PURPOSE].sha256
        self._banks, self._now, self._issuer = banks, now, issuer
        self._text = random.Random(1)
        self.issuer_key = Key()
        self._jwt_head = self.issuer_key.head(typ="at+jwt")
        self.grants: list[SQLModel] = []
        self.tokens: list[SQLModel] = []

    def give(self, serial: int) -> Given:
        """One enterprise's grant to one bank, with an access and a refresh token."""
        bank, now_ms = self._banks[serial % len(self._banks)], to_ms(self._now)
        terms = Terms(
            id=f"grt_{secrets.token_urlsafe(12)}",
            version=1,
            status="active",
            client_id=bank.client_id,
            enterprise=issue_fictitious(serial),
            purpose=PURPOSE,
            template_sha256=self._template,
            scope=self._scope,
            not_before_ms=now_ms - 60_000,
            not_after_ms=now_ms + 30 * 86_400_000,
            max_queries=1_000_000,
            used=0,
        )
        self.grants.append(give(terms, self._signed(), self._encoded, now=self._now)[0])
        access, access_row = born("access", terms, jkt=bank.key.jkt, items="", now_ms=now_ms)
        refresh, refresh_row = born("refresh", terms, jkt=bank.key.jkt, items="", now_ms=now_ms)
        self.tokens += [access_row, refresh_row]
        jwt = self.issuer_key.jws(self._jwt_head, self._claims(terms, bank, now_ms // 1000))
        return Given(bank, terms.id, 1, str(terms.enterprise), access, ath_of(access), refresh, jwt, ath_of(jwt))

    def _signed(self) -> Signed:
        """As long as a real document and a real passkey signature."""
        document = json.dumps({"text": self._text.randbytes(900).hex()})
        return Signed(
            document, sha256(document.encode()).hexdigest(), self._text.randbytes(300).hex(), "sig_bench", "L2"
        )

    def _claims(self, terms: Terms, bank: BankParty, now_s: int) -> bytes:
        claims = {
            "iss": self._issuer,
            "aud": f"{self._issuer}/v1",
            "sub": bank.client_id,
            "client_id": bank.client_id,
            "grant_id": terms.id,
            "cnf": {"jkt": bank.key.jkt},
            "iat": now_s,
            "exp": now_s + 300,
            "jti": secrets.token_urlsafe(12),
        }
        return json.dumps(claims, separators=(",", ":")).encode()


def _subject(keys: SubjectKeys, code: str, now: datetime) -> SQLModel:
    fresh = keys.fresh()
    return Subject(
        log_year=log_year(int(now.astimezone(UTC).timestamp() * 1000)),
        code=code,
        pseudonym=fresh.pseudonym,
        counter=1,
        wrapped_key=fresh.wrapped_key,
    )


async def _copy(connection: Any, rows: Iterable[SQLModel]) -> None:
    parts = [insert_parts(row) for row in rows]
    table, names, _ = parts[0]
    await connection.copy_records_to_table(table, columns=names, records=[tuple(values) for _, _, values in parts])
