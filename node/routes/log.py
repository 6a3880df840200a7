"""The public log (C2SP tlog-tiles) and the node's card at `/.well-known/xyd`.

Hashes are for everybody; entry bundles need a regulator's token, because leaves show each bank's volumes to its rivals.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from node.journal.bundle import policy_text
from node.journal.reading import Proofs

Year = Annotated[int, Path(ge=2000, le=2999)]
IMMUTABLE = "public, max-age=31536000, immutable"
PARTIAL = "public, max-age=60"
NEWEST = "no-cache"


@dataclass(frozen=True, slots=True)
class Card:
    """What the node says of itself."""

    node_id: str
    name: str
    issuer: str
    catalogue: str
    vkey: Callable[[int], str]


def router(proofs: Proofs, card: Card, regulator_token: str) -> APIRouter:
    """Routes of the log."""
    routes = APIRouter(tags=["Journal"])
    _add_card(routes, proofs, card)
    _add_checkpoints(routes, proofs, card)
    _add_tiles(routes, proofs, regulator_token)
    return routes


def _add_card(routes: APIRouter, proofs: Proofs, card: Card) -> None:
    @routes.get("/.well-known/xyd", summary="Node card: identity, catalogue, logs and their keys")
    async def node_card() -> Response:
        logs = [
            {
                "year": year,
                "origin": await proofs.log(year).origin(),
                "prefix": f"{card.issuer}/log/{year}",
                "vkey": card.vkey(year),
            }
            for year in await proofs.years()
        ]
        body = {
            "node_id": card.node_id,
            "name": card.name,
            "issuer": card.issuer,
            "catalogue": card.catalogue,
            "logs": logs,
            "witness_policy": {"quorum": "none", "witnesses": []},
        }
        return JSONResponse(body, headers={"Cache-Control": "public, max-age=60"})


def _add_checkpoints(routes: APIRouter, proofs: Proofs, card: Card) -> None:
    @routes.get("/log/{year}/checkpoint", summary="Newest signed checkpoint")
    async def checkpoint(year: Year) -> Response:
        note = await proofs.log(year).member("checkpoint")
        if note is None:
            return _missing()
        return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": NEWEST})

    @routes.get("/log/{year}/policy", summary="Witness policy (C2SP tlog-policy)")
    async def policy(year: Year) -> Response:
        if year not in await proofs.years():
            return _missing()
        return PlainTextResponse(policy_text(card.vkey(year)))

    @routes.get("/log/{year}/consistency", summary="Consistency proof between two sizes")
    async def consistency(year: Year, request: Request) -> Response:
        sizes = [_size(request.query_params.get(name, "")) for name in ("from", "to")]
        if None in sizes:
            return _missing(400)
        path = await proofs.log(year).consistency(sizes[0] or 0, sizes[1] or 0)
        if path is None:
            return _missing()
        return JSONResponse({"from": sizes[0], "to": sizes[1], "path": [base64.b64encode(p).decode() for p in path]})


def _add_tiles(routes: APIRouter, proofs: Proofs, regulator_token: str) -> None:
    @routes.get("/log/{year}/tile/{path:path}", summary="Hash tiles; entry bundles with a regulator's token")
    async def tile(year: Year, path: str, request: Request) -> Response:
        if path.startswith("entries/") and not _may_read(request, regulator_token):
            return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer realm="journal"'})
        data = await proofs.log(year).member(f"tile/{path}")
        if data is None:
            return _missing()
        cache = PARTIAL if ".p/" in path else IMMUTABLE
        if path.startswith("entries/"):
            cache = cache.replace("public", "private")
        return Response(data, media_type="application/octet-stream", headers={"Cache-Control": cache})


def _may_read(request: Request, regulator_token: str) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), regulator_token.encode())


def _size(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def _missing(status: int = 404) -> Response:
    return PlainTextResponse("not found\n" if status == 404 else "bad request\n", status)
