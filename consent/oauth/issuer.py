"""The issuer: the one configured URL from which every endpoint address, audience and `htu` is built.

The Host header is never consulted: behind a proxy it names whatever the caller liked (RFC 8414 §2, RFC 9449 §4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from consent.catalogue import Catalogue

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MIN_PAIRWISE_KEY = 16


@dataclass(frozen=True)
class Issuer:
    """Where the authorization server lives. `pairwise_key` (16 bytes or more) keys subject identifiers per bank.

    Raises ValueError for a URL that is not https (http on loopback), ends with a slash, or has a query or fragment.
    """

    url: str
    pairwise_key: bytes
    prefix: str = "/oauth"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("an issuer is https (http only on loopback)")
        if not parts.hostname or parts.username is not None or "?" in self.url or "#" in self.url:
            raise ValueError("an issuer has a host and neither user, query nor fragment (RFC 8414 §2)")
        if self.url.endswith("/") or not self.url.isascii():
            raise ValueError("an issuer is ASCII and has no trailing slash")
        if len(self.pairwise_key) < MIN_PAIRWISE_KEY:
            raise ValueError("the pairwise key has at least 16 bytes")

    def at(self, path: str) -> str:
        """The absolute URL of a path of this node."""
        return self.url + path

    @cached_property
    def loopback(self) -> bool:
        """A sandbox on this machine: http redirect URIs on loopback are allowed too."""
        return urlsplit(self.url).scheme == "http"

    @cached_property
    def pushed_url(self) -> str:
        """Pushed authorization request endpoint (RFC 9126)."""
        return self.at(f"{self.prefix}/par")

    @cached_property
    def authorize_url(self) -> str:
        """Authorization endpoint: the phone's door."""
        return self.at(f"{self.prefix}/authorize")

    @cached_property
    def token_url(self) -> str:
        """Token endpoint."""
        return self.at(f"{self.prefix}/token")

    @cached_property
    def introspect_url(self) -> str:
        """Introspection endpoint (RFC 7662)."""
        return self.at(f"{self.prefix}/introspect")

    @cached_property
    def revoke_url(self) -> str:
        """Revocation endpoint (RFC 7009)."""
        return self.at(f"{self.prefix}/revoke")

    @cached_property
    def resource_url(self) -> str:
        """The protected resource: the `aud` of every token."""
        return self.at("/v1")

    @cached_property
    def metadata_path(self) -> str:
        """Well-known path of the metadata document (RFC 8414 §3.1: the issuer's path comes after the suffix)."""
        return f"/.well-known/oauth-authorization-server{urlsplit(self.url).path}"


@dataclass(frozen=True)
class Rules:
    """What every decision needs and no request changes: built once by the composition root."""

    issuer: Issuer
    catalogue: Catalogue
