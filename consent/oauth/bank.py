"""Bank 接入机构: an OAuth client. The row, how it is born and changed, and the frozen snapshot that decisions read.

Authlib asks a client questions through `ClientMixin`; the snapshot answers them. RFC 6749 §2, RFC 7523, FAPI 2.0.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.models import ClientMixin
from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from consent.document import Recipient
from consent.enterprise import CreditCode
from consent.errors import Invalid
from consent.evidence import Evidence, Kind
from consent.oauth.issuer import LOOPBACK
from consent.oauth.jose import Malformed, PublicKey, import_public, key_ring
from consent.oauth.request import CLIENT_ID
from consent.purpose import CODES

AUTH_METHOD: Final = "private_key_jwt"
Algorithm = Literal["ES256", "PS256", "Ed25519"]
ALGORITHMS: Final = ("ES256", "PS256", "Ed25519")
MAX_REDIRECT_URIS: Final = 16
_URI_CHARS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?[]@!*,;=&()%+")


class Bank(SQLModel, table=True):
    """A bank at rest. Lists are JSON text; rows are born in `enrol` only."""

    __tablename__ = "bank"

    client_id: str = Field(primary_key=True, max_length=80)
    name: str = Field(max_length=200)
    org_uscc: str = Field(max_length=18)
    licence_no: str = Field(max_length=80)
    contact: str = Field(max_length=200)
    jwks: str = Field(sa_column=Column(Text, nullable=False))
    alg: str = Field(max_length=16)
    redirect_uris: str = Field(sa_column=Column(Text, nullable=False))
    purposes: str = Field(max_length=400)
    introspects: bool
    status: str = Field(max_length=12)
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a bank states when it is admitted. `jwks` is a JWK Set with public keys only."""

    client_id: str
    name: str
    org_uscc: str
    licence_no: str
    contact: str
    jwks: Mapping[str, Any]
    alg: Algorithm
    redirect_uris: tuple[str, ...]
    purposes: tuple[str, ...]
    introspects: bool = True


@dataclass(frozen=True)
class BankView(ClientMixin):  # type: ignore[misc]
    """A bank in motion: what decisions need of it, with its keys parsed."""

    client_id: str
    name: str
    org_uscc: str
    licence_no: str
    contact: str
    keys: tuple[PublicKey, ...]
    alg: str
    redirect_uris: tuple[str, ...]
    purposes: frozenset[str]
    introspects: bool
    active: bool

    @property
    def recipient(self) -> Recipient:
        """The bank as the consent document names it."""
        return Recipient(self.client_id, self.name, self.org_uscc, self.licence_no, self.contact)

    def get_client_id(self) -> str:
        """The identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is none: every request names its own."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """No scope values exist here; authority is asked for by authorization_details."""
        return ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact comparison of strings (RFC 9700 §4.1)."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """No bank has a secret."""
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """One method at every endpoint."""
        return method == AUTH_METHOD

    def check_response_type(self, response_type: str) -> bool:
        """Authorization code only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Code and refresh."""
        return grant_type in ("authorization_code", "refresh_token")


def view(row: Bank) -> BankView:
    """The snapshot of a row. The row is ours, so a broken one is a bug, not a refusal."""
    return BankView(
        client_id=row.client_id,
        name=row.name,
        org_uscc=row.org_uscc,
        licence_no=row.licence_no,
        contact=row.contact,
        keys=key_ring(row.jwks),
        alg=row.alg,
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        purposes=frozenset(row.purposes.split(" ")),
        introspects=row.introspects,
        active=row.status == "active",
    )


def enrol(asked: Enrolment, *, now: datetime, loopback: bool = False) -> tuple[Bank, Evidence]:
    """Admit a bank: the row and its evidence. `loopback` also allows http redirect URIs on this machine (sandbox).

    Raises consent.errors.Invalid naming the member that is wrong.
    """
    if CLIENT_ID.fullmatch(asked.client_id) is None:
        raise Invalid("a client_id has 1 to 80 of A-Z a-z 0-9 . _ ~ -", extra={"member": "client_id"})
    for member, value, longest in (
        ("name", asked.name, 200),
        ("licence_no", asked.licence_no, 80),
        ("contact", asked.contact, 200),
    ):
        _check_text(member, value, longest)
    if not asked.purposes or set(asked.purposes) - set(CODES):
        raise Invalid("unknown purpose", extra={"member": "purposes"})
    row = Bank(
        client_id=asked.client_id,
        name=asked.name,
        org_uscc=str(CreditCode.parse(asked.org_uscc)),
        licence_no=asked.licence_no,
        contact=asked.contact,
        jwks=_checked_jwks(asked.jwks, asked.alg),
        alg=asked.alg,
        redirect_uris=json.dumps(_checked_uris(asked.redirect_uris, loopback)),
        purposes=" ".join(sorted(set(asked.purposes))),
        introspects=asked.introspects,
        status="active",
        created_ms=int(now.timestamp() * 1000),
    )
    return row, _evidence(row, "enrol")


def rekey(row: Bank, jwks: Mapping[str, Any], alg: Algorithm) -> Evidence:
    """Replace the bank's keys. For a grace period the set holds old and new. Raises Invalid."""
    row.jwks, row.alg = _checked_jwks(jwks, alg), alg
    return _evidence(row, "rekey")


def suspend(row: Bank) -> Evidence:
    """From now on the bank cannot authenticate."""
    row.status = "suspended"
    return _evidence(row, "suspend")


def resume(row: Bank) -> Evidence:
    """The bank may act again."""
    row.status = "active"
    return _evidence(row, "resume")


def _evidence(row: Bank, act: str) -> Evidence:
    return Evidence(Kind.BANK, row.client_id, None, {"act": act}, {"client_id": row.client_id, "jwks": row.jwks})


def _check_text(member: str, value: str, longest: int) -> None:
    # The phone shows these words: no control, format or bidirectional characters that could make them read otherwise.
    if not value.strip() or len(value) > longest or any(unicodedata.category(char)[0] == "C" for char in value):
        raise Invalid("a text that can be shown is needed", extra={"member": member})


def _checked_jwks(jwks: Mapping[str, Any], alg: str) -> str:
    if alg not in ALGORITHMS:
        raise Invalid("the signing algorithm must be ES256, PS256 or Ed25519", extra={"member": "alg"})
    try:
        text = json.dumps(jwks, sort_keys=True, separators=(",", ":"))
        keys = jwks.get("keys")
        for entry in keys if isinstance(keys, list) else []:
            if isinstance(entry, dict) and ("d" in entry or "k" in entry):
                import_public(entry)
        fitting = [each for each in key_ring(text) if each.fits(alg)]
    except (Malformed, TypeError, ValueError) as error:
        raise Invalid("the JWK Set cannot be used", cause=str(error), extra={"member": "jwks"}) from None
    if not fitting:
        raise Invalid("the JWK Set has no key of the signing algorithm", extra={"member": "jwks"})
    return text


def _checked_uris(uris: tuple[str, ...], loopback: bool) -> list[str]:
    if not 1 <= len(uris) <= MAX_REDIRECT_URIS:
        raise Invalid("1 to 16 redirect URIs are needed", extra={"member": "redirect_uris"})
    for uri in uris:
        parts = urlsplit(uri)
        local = loopback and parts.scheme == "http" and parts.hostname in LOOPBACK
        # `_URI_CHARS` is also what Authlib's query decoder takes when it adds code, state and iss.
        if not (parts.scheme == "https" or local) or not parts.hostname or parts.username or set(uri) - _URI_CHARS:
            raise Invalid("a redirect URI is https, with plain characters only", extra={"member": "redirect_uris"})
    return list(uris)
