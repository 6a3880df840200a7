"""The enterprise's own pages: home, grants, withdrawal, and who looked."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from node.flows.phone.errors import NotYours
from node.routes.phone_desk import Desk, file_answer

MAX_NUMBER = 15


def add(routes: APIRouter, desk: Desk) -> None:
    """Add the routes."""
    _grants(routes, desk)
    _queries(routes, desk)


def _grants(routes: APIRouter, desk: Desk) -> None:
    account = desk.flows.account

    @routes.get("/phone")
    @routes.get("/phone/")
    async def home(request: Request) -> Response:
        acting = await desk.acting(request)
        return desk.page(request, "home.html", acting=acting, view=await account.home(acting))

    @routes.get("/phone/grants")
    async def grants(request: Request) -> Response:
        acting = await desk.acting(request)
        ended = request.query_params.get("tab") == "ended"
        return desk.page(request, "grants.html", acting=acting, view=await account.grants(acting, ended=ended))

    @routes.get("/phone/grants/{grant_id}")
    async def grant(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        return desk.page(request, "grant.html", acting=acting, view=await account.grant(grant_id, acting))

    @routes.get("/phone/grants/{grant_id}/withdraw")
    async def withdraw_page(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        view = await account.grant(grant_id, acting)
        if view.grant.state == "revoked":
            return desk.go(f"/phone/grants/{view.grant.id}/withdrawn")
        return desk.page(request, "withdraw.html", acting=acting, view=view)

    @routes.post("/phone/grants/{grant_id}/withdraw")
    async def withdraw(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        await desk.form(request)
        await desk.flows.withdrawal.confirm(grant_id, acting)
        return desk.go(f"/phone/grants/{grant_id}/withdrawn")

    @routes.get("/phone/grants/{grant_id}/withdrawn")
    async def withdrawn(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        view = await account.receipt(grant_id, acting, "REVOKE")
        return desk.page(request, "withdrawn.html", acting=acting, view=view)


def _queries(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/phone/queries")
    async def queries(request: Request) -> Response:
        acting = await desk.acting(request)
        year, before = (number(request.query_params.get(name, "0")) for name in ("year", "before"))
        view = await desk.flows.timelines.page(acting.enterprise, year, before)
        return desk.page(request, "queries.html", acting=acting, view=view)

    @routes.get("/phone/queries/{index}")
    async def query(request: Request, index: str) -> Response:
        acting = await desk.acting(request)
        year = number(request.query_params.get("year", "0"))
        view = await desk.flows.proving.page(acting.enterprise, year, number(index))
        return desk.page(request, "query.html", acting=acting, view=view)

    @routes.get("/phone/queries/{index}/receipt.json")
    async def evidence(request: Request, index: str) -> Response:
        acting = await desk.acting(request)
        year = number(request.query_params.get("year", "0"))
        body = await desk.flows.proving.evidence(acting.enterprise, year, number(index))
        return file_answer(f"entry-{body['index']}.json", body, desk.faces.headers())


def number(text: str) -> int:
    """A number out of an address. Raises NotYours for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER):
        raise NotYours("number")
    return int(text)
