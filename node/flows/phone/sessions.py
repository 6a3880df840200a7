"""Sessions: a 256-bit random id in a cookie, its content in Valkey; the anti-forgery token is an HMAC of the id.

Nothing but this touches Valkey when an enterprise withdraws a consent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from node.flows.phone.errors import Forged, SignInNeeded
from node.flows.phone.shelf import Shelf

TTL_S = 30 * 60
"""A session ends half an hour after its last use."""
MAX_ID = 64


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in and for which enterprise. `id` is secret; it never stands in a page or a log."""

    id: str
    signatory: str
    enterprise: str

    @property
    def csrf(self) -> str:
        """The token every form of this session carries."""
        return csrf_token(self.id)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, finds and ends sessions."""

    shelf: Shelf

    async def open(self, signatory: str, enterprise: str) -> Session:
        """A new session with a fresh id: an id from before the sign-in is never kept (session fixation)."""
        session = Session(secrets.token_urlsafe(32), signatory, enterprise)
        await self._keep(session)
        return session

    async def find(self, identity: str) -> Session:
        """The session of a cookie, its half hour begun anew. Raises SignInNeeded, ShelfDown."""
        if not identity or len(identity) > MAX_ID:
            raise SignInNeeded
        text = await self.shelf.renew(_key(identity), TTL_S)
        if text is None:
            raise SignInNeeded
        kept = json.loads(text)
        return Session(identity, kept["signatory"], kept["enterprise"])

    async def act_for(self, session: Session, enterprise: str) -> Session:
        """The same session for another enterprise."""
        changed = Session(session.id, session.signatory, enterprise)
        await self._keep(changed)
        return changed

    async def end(self, session: Session) -> None:
        """Sign out."""
        await self.shelf.drop(_key(session.id))

    async def _keep(self, session: Session) -> None:
        text = json.dumps({"signatory": session.signatory, "enterprise": session.enterprise})
        await self.shelf.put(_key(session.id), text, TTL_S)


def _key(identity: str) -> str:
    """The store holds a hash of the id: reading it does not let anyone in."""
    return "phone:session:" + hashlib.sha256(identity.encode()).hexdigest()


def new_visitor() -> str:
    """A secret for somebody who is not signed in yet: the anti-forgery token of the sign-in form hangs on it."""
    return secrets.token_urlsafe(32)


def new_number() -> str:
    """What an error page and the operator's log have in common, 8 hex digits."""
    return secrets.token_hex(4)


def csrf_token(secret: str) -> str:
    """The anti-forgery token of a secret cookie: HMAC-SHA256, 64 hex digits."""
    return hmac.new(secret.encode(), b"xyd-csrf-v1", hashlib.sha256).hexdigest()


def check_csrf(secret: str, token: str) -> None:
    """Raises Forged unless the token is the secret's."""
    if not secret or not hmac.compare_digest(csrf_token(secret).encode(), token.encode()):
        raise Forged("token")
