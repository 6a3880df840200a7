"""Signing: from a choice to a grant in the journal, by a passkey over the exact document.

The document is drawn up once, kept, shown and signed as the same bytes. The challenge is always computed here, from
those bytes; what the browser says it hashed is never believed. One decision per request, claimed before the append.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sqlmodel import select

from consent import signing
from consent.document import CLAUSES, challenge, check_code
from consent.errors import Conflict, Invalid
from consent.evidence import Evidence, Kind
from consent.grant import Grant, Signed, Terms, give
from consent.oauth.bank import BankView
from consent.oauth.issuer import Rules
from consent.purpose import Template
from consent.scope import decode
from consent.signing import Passkey, RelyingParty
from node.clock import Clock, to_ms
from node.database import Reader
from node.flows.phone.asks import Ask, Asks
from node.flows.phone.errors import RequestDecided, ShelfDown, StateChanged
from node.flows.phone.people import Acting
from node.flows.phone.review import ChoiceRefused, Draft, Numbers, Parties, Review, choose, draft, review
from node.flows.phone.shelf import Shelf
from node.journal.act import Act, CountPasskey, GuardFailed, Insert, JournalUnavailable
from node.journal.appender import Appender

ASSURANCE = "L3"
"""A passkey with user verification. Above it L4, electronic business licence; below L2, SMS with name; L1, paper."""
DRAFT_S = 30 * 60
CEREMONY_S = 10 * 60
CLAIM_S = 60
"""How long a decision under way keeps others out; if the process dies meanwhile, the request is free again then."""
RETURN_S = 24 * 3600


class NoDraft(StateChanged):
    """Nothing is drawn up for this request: the review comes first."""

    code = "no_draft"


@dataclass(frozen=True, slots=True)
class SignPage:
    """The check-answers page. `document` is parsed from `text`, the very characters that are signed."""

    rid: str
    bank: BankView
    template: Template
    text: str
    document: Mapping[str, Any]
    code: str
    valid_from: str
    valid_until: str
    credential: str
    ceremony: Mapping[str, Any]
    clauses: tuple[str, ...] = CLAUSES


@dataclass(frozen=True, slots=True)
class Signing:
    """See the module."""

    asks: Asks
    shelf: Shelf
    reader: Reader
    appender: Appender
    rules: Rules
    party: RelyingParty
    node_id: str
    clock: Clock

    async def review(self, rid: str, acting: Acting, refused: ChoiceRefused | None = None) -> Review:
        """The review page of a waiting request."""
        ask, bank = await self.asks.find(rid, acting)
        return review(ask, bank, self.rules, now=self.clock(), refused=refused)

    async def agree(self, rid: str, acting: Acting, form: Mapping[str, Sequence[str]]) -> None:
        """Draw up the document for a choice and keep it. Raises ChoiceRefused, OverBound."""
        ask, bank = await self.asks.find(rid, acting)
        now = self.clock()
        asked = ask.pushed.asked
        choice = choose(form, asked, now=now)
        parties = Parties(acting, bank, self.node_id, self.rules.catalogue)
        numbers = Numbers("grt_" + secrets.token_hex(12), secrets.token_urlsafe(24))
        drawn = draft(asked, choice, parties, numbers, now=now)
        kept = {"signatory": acting.session.signatory, "terms": _pack(drawn.terms, self.rules), "text": drawn.text}
        await self.shelf.put(_draft(rid), json.dumps(kept), DRAFT_S)

    async def page(self, rid: str, acting: Acting) -> SignPage:
        """What is about to be signed. Raises NoDraft."""
        ask, bank = await self.asks.find(rid, acting)
        drawn = await self._drawn(rid, acting)
        passkey = await self._passkey(acting)
        data = drawn.text.encode()
        parsed = json.loads(data)
        return SignPage(
            rid=rid,
            bank=bank,
            template=ask.pushed.asked.template,
            text=drawn.text,
            document=parsed,
            code=check_code(data),
            valid_from=parsed["valid_from"],
            valid_until=parsed["valid_until"],
            credential="" if passkey is None else passkey.credential_id,
            ceremony=await self._ceremony(acting, passkey),
        )

    async def document(self, rid: str, acting: Acting) -> bytes:
        """The canonical bytes, for the phone to hash itself. Raises NoDraft."""
        await self.asks.find(rid, acting)
        return (await self._drawn(rid, acting)).text.encode()

    async def register(self, acting: Acting, response: str) -> str:
        """Register the first passkey of a signatory, in the journal. Its credential id. Raises Invalid, Conflict."""
        parsed = signing.parse_response(response)
        expected = await self.shelf.take(_challenge(acting))
        if expected is None:
            raise Invalid("the registration took too long", code="signature.expired")
        if await self._passkey(acting) is not None:
            raise Conflict("a device is registered already", code="signature.device_exists")
        passkey = signing.register(
            parsed,
            challenge=bytes.fromhex(expected),
            party=self.party,
            signatory=acting.session.signatory,
            now_ms=to_ms(self.clock()),
        )
        private = {"signatory": acting.session.signatory, "credential": passkey.credential_id, "aaguid": passkey.aaguid}
        evidence = Evidence(Kind.PASSKEY, "node", acting.enterprise, {"act": "registered"}, private)
        credential = passkey.credential_id
        try:
            await self.appender.append(Act((evidence,), effects=(Insert(passkey),)))
        except GuardFailed:
            raise Conflict("this device is registered already", code="signature.device_exists") from None
        return credential

    async def sign(self, rid: str, acting: Acting, response: str) -> str:
        """The consent, once: verify → claim → append → consume. The grant's id.

        Raises Invalid for a signature that does not hold, RequestDecided for a second one, JournalUnavailable.
        """
        ask, _ = await self.asks.find(rid, acting)
        drawn = await self._drawn(rid, acting)
        row, act = await self._decide(drawn, acting, signing.parse_response(response))
        grant_id = row.id
        await self.asks.claim(ask, grant_id, CLAIM_S)
        try:
            await self.shelf.put(_returning(grant_id), _pack_return(ask, self.rules), RETURN_S)
            await self.appender.append(act)
        except GuardFailed:
            raise RequestDecided from None
        except (JournalUnavailable, ShelfDown):
            with suppress(ShelfDown):
                await self.asks.release(ask)
            raise
        with suppress(ShelfDown):  # the grant stands; what is left behind here lapses by itself
            await self.asks.consume(ask, grant_id)
        return grant_id

    async def _decide(self, drawn: Draft, acting: Acting, response: dict[str, Any]) -> tuple[Grant, Act]:
        """Verify the signature over our own challenge and write the grant with its evidence."""
        passkey = await self._passkey(acting)
        if passkey is None:
            raise Invalid("no device is registered", code="signature.invalid")
        data = drawn.text.encode()
        assertion = signing.verify(response, passkey, challenge=challenge(data), party=self.party)
        signed = Signed(
            document=drawn.text,
            sha256=hashlib.sha256(data).hexdigest(),
            signature=assertion.evidence,
            signatory=acting.session.signatory,
            assurance=ASSURANCE,
        )
        encoded = drawn.terms.scope.encode(self.rules.catalogue)
        row, evidence = give(drawn.terms, signed, encoded, now=self.clock())
        return row, Act((evidence,), effects=(Insert(row), CountPasskey(assertion.credential_id, assertion.sign_count)))

    async def _drawn(self, rid: str, acting: Acting) -> Draft:
        text = await self.shelf.get(_draft(rid))
        kept = None if text is None else json.loads(text)
        if kept is None or kept["signatory"] != acting.session.signatory:
            raise NoDraft
        return Draft(_unpack(kept["terms"], acting, self.rules), kept["text"])

    async def _passkey(self, acting: Acting) -> Passkey | None:
        return await self.reader.first(select(Passkey).where(Passkey.signatory == acting.session.signatory))

    async def _ceremony(self, acting: Acting, passkey: Passkey | None) -> Mapping[str, Any]:
        """What the browser needs to know; a challenge only when a device has to be registered first."""
        nonce = b""
        if passkey is None:
            nonce = secrets.token_bytes(32)
            await self.shelf.put(_challenge(acting), nonce.hex(), CEREMONY_S)
        user = hashlib.sha256(b"xyd-user-v1\n" + acting.session.signatory.encode()).digest()[:16]
        return {
            "rp": {"id": self.party.id, "name": self.node_id},
            "user": {"id": _b64url(user), "name": acting.name_masked, "displayName": acting.name_masked},
            "challenge": _b64url(nonce),
            "credential": "" if passkey is None else passkey.credential_id,
            "algorithms": [int(each) for each in signing.ALGORITHMS],
        }


def _pack(terms: Terms, rules: Rules) -> dict[str, Any]:
    packed = {each.name: getattr(terms, each.name) for each in fields(terms)}
    return packed | {"scope": list(terms.scope.encode(rules.catalogue))}


def _unpack(packed: dict[str, Any], acting: Acting, rules: Rules) -> Terms:
    if packed["enterprise"] != acting.enterprise:
        raise NoDraft
    return Terms(**(packed | {"enterprise": acting.enterprise, "scope": decode(packed["scope"], rules.catalogue)}))


def _pack_return(ask: Ask, rules: Rules) -> str:
    visit = [ask.visit.client_id, ask.visit.request_uri]
    return json.dumps({"visit": visit, "pushed": ask.pushed.dump(rules.catalogue)})


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _draft(rid: str) -> str:
    return f"phone:draft:{rid}"


def _challenge(acting: Acting) -> str:
    return f"phone:challenge:{acting.session.signatory}"


def _returning(grant_id: str) -> str:
    return f"phone:return:{grant_id}"
