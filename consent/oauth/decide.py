"""The decisions of the OAuth doors, one function each: loaded snapshots in, effects out, or a typed OAuth error.

Order for a flow: parse → load the client → `authenticate` → claim its replay keys → load what `what_to_load` names →
decide → claim the code → append evidence with rows → send the reply.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.oauth import dpop
from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.code import code_key
from consent.oauth.details import resolve
from consent.oauth.effects import (
    Approval,
    Authenticated,
    CodeReplayed,
    Issue,
    Loaded,
    Pushing,
    Refused,
    Revocation,
    Visited,
    end_tokens,
)
from consent.oauth.errors import (
    InvalidClientError,
    InvalidDetails,
    InvalidProof,
    InvalidRequestError,
    Reply,
    UnsupportedGrantTypeError,
)
from consent.oauth.issuer import Rules
from consent.oauth.pushed import LIFETIME_S, Pushed, Visit, bound_key, check_shape, new_request_uri, pushed_key
from consent.oauth.request import FapiRequest
from consent.oauth.server import Case, ConsentServer
from consent.oauth.token import MAX_TOKEN, digest

GRANT_TYPES = ("authorization_code", "refresh_token")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stored things the form names: the code's key, the token's hash."""

    code_key: str | None
    token_hash: str | None


def what_to_load(request: FapiRequest) -> Wanted:
    """The keys of what the decision will need; the grant is found by the code's or the token's grant_id."""
    form = request.form
    code = form.get("code")
    token = form.get("refresh_token") if "grant_type" in form else form.get("token")
    return Wanted(
        code_key(code) if code is not None and len(code) <= MAX_TOKEN else None,
        digest(token) if token is not None and len(token) <= MAX_TOKEN else None,
    )


def authenticate(rules: Rules, request: FapiRequest, client: BankView | None, *, now: datetime) -> Authenticated:
    """Who asks, by private_key_jwt, and with which key, if a DPoP proof came along.

    Raises InvalidClientError (the same for an unknown client and a wrong signature) or InvalidProof. A replay key is
    returned for both and must be claimed whatever the decision will be.
    """
    server = ConsentServer(rules, Case(now, client=client))
    authenticated: BankView = server.authenticate_client(request, [AUTH_METHOD])
    replay = server.private_key_jwt.replay
    if replay is None:
        raise InvalidClientError(description="the client assertion does not hold")
    if request.dpop is None:
        return Authenticated(authenticated, None, (replay,))
    proof = dpop.verify(request.dpop, htm=request.method, htu=request.uri, now_s=now.timestamp())
    return Authenticated(authenticated, proof, (replay, proof.replay))


def decide_push(rules: Rules, request: FapiRequest, who: Authenticated, *, now: datetime) -> Pushing:
    """A pushed authorization request (RFC 9126 §2.2). Raises OAuth2Error; its answer is JSON, never a redirect."""
    check_shape(request, who.client)
    form = request.form | {"client_id": who.client.client_id}
    jkt = bound_key(form, None if who.proof is None else who.proof.jkt)
    ConsentServer(rules, Case(now, client=who.client)).get_consent_grant(FapiRequest("POST", request.uri, form))
    if "authorization_details" not in form:
        raise InvalidDetails("authorization_details are required")
    pushed = Pushed(
        client_id=who.client.client_id,
        redirect_uri=form["redirect_uri"],
        state=form.get("state"),
        code_challenge=form["code_challenge"],
        dpop_jkt=jkt,
        asked=resolve(form["authorization_details"], who.client, rules, now=now),
        expires_ms=_ms(now) + LIFETIME_S * 1000,
    )
    request_uri = new_request_uri()
    return Pushing(pushed_key(request_uri), pushed, Reply(201, {"request_uri": request_uri, "expires_in": LIFETIME_S}))


def decide_visit(visit: Visit, pushed: Pushed | None, client: BankView | None, *, now: datetime) -> Visited:
    """The pushed request that a browser may see, or decide, now. Raises InvalidRequestError: a page, never a redirect.

    A visit consumes nothing. Unknown, expired, consumed and another client's look the same. Called again when the
    enterprise decides, over what is loaded then.
    """
    if pushed is None or client is None or not client.active or _ms(now) >= pushed.expires_ms:
        raise InvalidRequestError("the request is unknown, has expired or was decided before")
    if {visit.client_id, pushed.client_id, client.client_id} != {client.client_id}:
        raise InvalidRequestError("the request is unknown, has expired or was decided before")
    return Visited(visit.key, pushed, client)


def decide_yes(rules: Rules, visited: Visited, grant: Terms, *, now: datetime) -> Approval:
    """The enterprise said yes and `grant` is what it gave: a code for the bank (RFC 6749 §4.1.2, RFC 9207)."""
    if grant.client_id != visited.client.client_id:
        raise ValueError("the grant names another bank than the request")
    case = Case(now, client=visited.client, agreed=grant)
    location = _authorize(rules, case, visited.pushed, grant)
    if case.code is None:
        raise AssertionError("Authlib answered without a code")
    return Approval(code_key(case.code_value), case.code, visited.key, location)


def decide_no(rules: Rules, visited: Visited, *, now: datetime) -> Refused:
    """The enterprise said no: access_denied with state and iss (RFC 6749 §4.1.2.1, RFC 9207)."""
    location = _authorize(rules, Case(now, client=visited.client), visited.pushed, None)
    return Refused(visited.key, location)


def _authorize(rules: Rules, case: Case, pushed: Pushed, grant: Terms | None) -> str:
    server = ConsentServer(rules, case)
    request = pushed.request(rules.issuer.authorize_url)
    station = server.get_authorization_grant(request)
    location: str = server.create_authorization_response(request, grant_user=grant, grant=station).location
    return location


def decide_token(rules: Rules, request: FapiRequest, who: Authenticated, loaded: Loaded, *, now: datetime) -> Issue:
    """A token request, code or refresh, dispatched by Authlib. Raises OAuth2Error; CodeReplayed carries an effect.

    Issue.code_key must be claimed atomically before anything is appended; who loses raises `lost_code`.
    """
    form = request.form
    if "grant_type" not in form:
        raise InvalidRequestError("grant_type is missing")
    if form["grant_type"] not in GRANT_TYPES:
        raise UnsupportedGrantTypeError(None)
    if who.proof is None:
        raise InvalidProof("a DPoP proof is required")
    case = Case(now, client=who.client, proof=who.proof, loaded=loaded)
    body = ConsentServer(rules, case).token_response(request)
    grant = loaded.grant
    if grant is None:
        raise AssertionError("a token was decided without a grant")
    public: dict[str, str | int | tuple[str, ...]] = {
        "grant": grant.id,
        "ver": grant.version,
        "exp": case.tokens[0].expires_ms,
    }
    evidence = Evidence(Kind.TOKEN, grant.client_id, grant.enterprise, public, {"jkt": who.proof.jkt})
    claimed = code_key(form["code"]) if form["grant_type"] == "authorization_code" else None
    return Issue(tuple(case.tokens), claimed, evidence, Reply(200, body))


def lost_code(grant: Terms) -> CodeReplayed:
    """The error of a code whose atomic claim was lost to another use at the same moment."""
    return CodeReplayed(end_tokens(grant, "code_replayed"))


def decide_introspect(
    rules: Rules, request: FapiRequest, who: Authenticated, loaded: Loaded, *, now: datetime
) -> Reply:
    """Introspection (RFC 7662). Raises InvalidRequestError without a token."""
    server = ConsentServer(rules, Case(now, client=who.client, loaded=loaded))
    return Reply(200, server.create_endpoint_response("introspection", request).body)


def decide_revoke(
    rules: Rules, request: FapiRequest, who: Authenticated, loaded: Loaded, *, now: datetime
) -> Revocation:
    """Revocation (RFC 7009): 200 in every case; own live tokens end with all others of their grant."""
    case = Case(now, client=who.client, loaded=loaded)
    ConsentServer(rules, case).create_endpoint_response("revocation", request)
    ends = end_tokens(loaded.grant, "revoked_by_client") if case.ended and loaded.grant is not None else None
    return Revocation(ends, Reply(200, {}))


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
