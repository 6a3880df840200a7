"""The front page, which names the faces and their addresses, and the static files of all faces."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from node.faces.render import IMMUTABLE, Faces
from node.faces.views import Page
from node.routes.phone_desk import YEAR_S, chosen, set_cookie


@dataclass(frozen=True, slots=True)
class Door:
    """An address on the front page. `name` is its text, `shown` what is printed of it."""

    name: str
    href: str
    shown: str
    glyph: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the node's doors are."""

    issuer: str
    metrics: str
    log: str
    metadata: str


def router(faces: Faces, addresses: Addresses) -> APIRouter:
    """Routes of the front page and of `/static`."""
    routes = APIRouter(include_in_schema=False)
    doors = (
        Door("phone", "/phone/", addresses.issuer + "/phone/", "person"),
        Door("api", "/openapi.json", addresses.issuer + "/openapi.json", "document"),
        Door("log", addresses.log, addresses.issuer + addresses.log, "chain"),
        Door("metadata", addresses.metadata, addresses.issuer + addresses.metadata, "shield"),
        Door("metrics", addresses.metrics, addresses.metrics, "list"),
    )

    @routes.get("/")
    async def front(request: Request) -> Response:
        lang, size = chosen(request)
        html = faces.page("landing.html", Page(lang=lang, size=size, path="/"), view={"doors": doors})
        response = HTMLResponse(html, headers=faces.headers())
        for name in {"lang", "size"} & set(request.query_params):
            value = {"lang": lang, "size": size or "normal"}[name]
            set_cookie(response, f"xyd_{name}", value, YEAR_S, secure=faces.secure)
        return response

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        found = faces.static(name)
        if found is None:
            return PlainTextResponse("not found\n", 404)
        headers = {"Cache-Control": IMMUTABLE, "X-Content-Type-Options": "nosniff"}
        return Response(found.content, media_type=found.media_type, headers=headers)

    return routes
