"""The authorization server's doors (RFC 9126, 6749, 7662, 7009) and its metadata (RFC 8414)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from consent.oauth.errors import Reply
from consent.oauth.issuer import Rules
from consent.oauth.metadata import document
from consent.oauth.request import MAX_BODY, Endpoint, RawRequest
from node.flows.oauth import OAuth


def router(flow: OAuth, rules: Rules) -> APIRouter:
    """Routes of the authorization server."""
    routes = APIRouter(tags=["OAuth 2.0"])
    metadata = msgspec.json.encode(document(rules))

    @routes.get(rules.issuer.metadata_path, summary="Server metadata, RFC 8414")
    async def server_metadata() -> Response:
        return Response(metadata, media_type="application/json", headers={"Cache-Control": "public, max-age=300"})

    def door(endpoint: Endpoint) -> Any:
        async def call(request: Request) -> Response:
            raw = RawRequest(request.method, request.headers.raw, await _body(request), request.scope["query_string"])
            return _response(await flow.answer(endpoint, raw))

        return call

    for endpoint, url in (
        (Endpoint.PUSHED, rules.issuer.pushed_url),
        (Endpoint.TOKEN, rules.issuer.token_url),
        (Endpoint.INTROSPECT, rules.issuer.introspect_url),
        (Endpoint.REVOKE, rules.issuer.revoke_url),
    ):
        path = url.removeprefix(rules.issuer.url)
        routes.add_api_route(path, door(endpoint), methods=["POST"], summary=endpoint.value, name=endpoint.value)
    return routes


async def _body(request: Request) -> bytes:
    """At most one byte over the limit: enough to refuse it."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return body[: MAX_BODY + 1]


def _response(reply: Reply) -> Response:
    return Response(reply.content, reply.status, headers=dict(reply.headers))
