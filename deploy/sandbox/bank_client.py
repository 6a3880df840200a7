"""A bank of the sandbox: keys, client assertion, DPoP, and the calls of the journey. A client like any other: HTTP
only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from consent.enterprise import issue_fictitious
from node.clock import utc_now

CALLBACK = "https://{name}.example/callback"


@dataclass
class BankParty:
    """One bank with its private key. The DPoP key is the client key here; a real bank would use two."""

    client_id: str
    name: str
    org_uscc: str
    redirect_uri: str
    key: ECKey
    issuer: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def public_card(self) -> dict[str, Any]:
        """What parties.json says of it, the private JWK included: this is a sandbox."""
        return {
            "client_id": self.client_id,
            "name": self.name,
            "org_uscc": self.org_uscc,
            "alg": "ES256",
            "kid": self.key.kid,
            "redirect_uri": self.redirect_uri,
            "private_jwk": self.key.as_dict(private=True, kid=self.key.kid, alg="ES256"),
        }

    def enrolment(self) -> dict[str, Any]:
        """What the operator enrols."""
        public = self.key.as_dict(private=False, kid=self.key.kid, alg="ES256", use="sig")
        return {
            "client_id": self.client_id,
            "name": self.name,
            "org_uscc": self.org_uscc,
            "licence_no": f"B{self.org_uscc[8:16]}H332",
            "contact": "0512-00000000",
            "jwks": {"keys": [public]},
            "alg": "ES256",
            "redirect_uris": (self.redirect_uri,),
            "purposes": ("LOAN_APPLICATION", "POST_LOAN", "ONE_OFF_CHECK", "GUARANTEE_REVIEW"),
        }

    def assertion(self) -> dict[str, str]:
        """private_key_jwt (RFC 7523): the audience is the issuer, as a string."""
        now = int(utc_now().timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
        }
        token = jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)
        return {
            "client_id": self.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
        }

    def proof(self, url: str, token: str = "") -> str:
        """A DPoP proof for a POST (RFC 9449 §4.2)."""
        claims: dict[str, Any] = {
            "htm": "POST",
            "htu": url,
            "jti": secrets.token_urlsafe(16),
            "iat": int(utc_now().timestamp()),
        }
        if token:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        public = self.key.as_dict(private=False)
        public = {name: public[name] for name in ("kty", "crv", "x", "y")}
        return jwt.encode({"typ": "dpop+jwt", "alg": "ES256", "jwk": public}, claims, self.key)

    def push(self, details: dict[str, Any], verifier: str) -> httpx.Response:
        """Push the authorization request (RFC 9126)."""
        url = f"{self.issuer}/oauth/par"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        form = self.assertion() | {
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "state": secrets.token_urlsafe(12),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([details], ensure_ascii=False),
        }
        return self.http.post(url, data=form, headers={"DPoP": self.proof(url)})

    def redeem(self, redirect: str, verifier: str) -> httpx.Response:
        """Exchange the code in a redirect for a token."""
        url = f"{self.issuer}/oauth/token"
        code = parse_qs(urlsplit(redirect).query)["code"][0]
        form = self.assertion() | {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self.redirect_uri,
        }
        return self.http.post(url, data=form, headers={"DPoP": self.proof(url)})

    def post(self, path: str, token: str, body: dict[str, Any], key: str = "") -> httpx.Response:
        """Call the data door."""
        url = f"{self.issuer}{path}"
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": self.proof(url, token),
            "Idempotency-Key": key or secrets.token_urlsafe(16),
            "Prefer": "wait=5",
        }
        return self.http.post(url, json=body, headers=headers)


def new_bank(client_id: str, name: str, serial: int, issuer: str) -> BankParty:
    """A fresh bank with a fresh ES256 key and a fictitious credit code."""
    key = ECKey.generate_key("P-256", {"kid": f"{client_id}-1"}, private=True)
    redirect = CALLBACK.format(name=client_id)
    return BankParty(client_id, name, str(issue_fictitious(serial)), redirect, key, issuer)
