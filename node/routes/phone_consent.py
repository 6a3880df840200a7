"""The way of a consent: review, check and sign, receipt, back to the bank; or refuse."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from node.flows.phone.people import Acting
from node.flows.phone.review import ChoiceRefused
from node.routes.phone_desk import Desk, file_answer


def add(routes: APIRouter, desk: Desk) -> None:
    """Add the routes."""
    _decide(routes, desk)
    _sign(routes, desk)
    _receipt(routes, desk)


def _decide(routes: APIRouter, desk: Desk) -> None:

    @routes.get("/phone/requests/{rid}")
    async def review(request: Request, rid: str) -> Response:
        acting = await for_request(desk, request, rid)
        return await review_page(desk, request, rid, acting)

    @routes.post("/phone/requests/{rid}")
    async def agree(request: Request, rid: str) -> Response:
        acting = await desk.acting(request)
        form = await desk.form(request)
        try:
            await desk.flows.signing.agree(rid, acting, form)
        except ChoiceRefused as refused:
            return await review_page(desk, request, rid, acting, refused)
        return desk.go(f"/phone/requests/{rid}/sign")

    @routes.post("/phone/requests/{rid}/refuse")
    async def refuse(request: Request, rid: str) -> Response:
        acting = await desk.acting(request)
        await desk.form(request)
        return desk.go(await desk.flows.returning.refuse(rid, acting))


def _sign(routes: APIRouter, desk: Desk) -> None:
    signing = desk.flows.signing

    @routes.get("/phone/requests/{rid}/sign")
    async def sign_page(request: Request, rid: str) -> Response:
        acting = await for_request(desk, request, rid)
        return desk.page(request, "sign.html", acting=acting, view=await signing.page(rid, acting))

    @routes.get("/phone/requests/{rid}/document")
    async def document(request: Request, rid: str) -> Response:
        data = await signing.document(rid, await desk.acting(request))
        return Response(data, media_type="application/json", headers=desk.faces.headers())

    @routes.post("/phone/requests/{rid}/passkey")
    async def passkey(request: Request, rid: str) -> Response:
        acting = await desk.acting(request)
        await desk.flows.asks.find(rid, acting)
        credential = await signing.register(acting, await desk.message(request))
        return JSONResponse({"credential": credential}, headers=desk.faces.headers())

    @routes.post("/phone/requests/{rid}/signature")
    async def signature(request: Request, rid: str) -> Response:
        acting = await desk.acting(request)
        grant_id = await signing.sign(rid, acting, await desk.message(request))
        return JSONResponse({"next": f"/phone/receipts/{grant_id}"}, headers=desk.faces.headers())


def _receipt(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/phone/receipts/{grant_id}")
    async def receipt(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        view = await desk.flows.account.receipt(grant_id, acting)
        return desk.page(request, "receipt.html", acting=acting, origin=view.returns, view=view)

    @routes.get("/phone/receipts/{grant_id}/receipt.json")
    async def receipt_file(request: Request, grant_id: str) -> Response:
        body = await desk.flows.account.receipt_file(grant_id, await desk.acting(request))
        return file_answer(f"receipt-{body['document']['id']}.json", body, desk.faces.headers())

    @routes.post("/phone/receipts/{grant_id}/return")
    async def give_back(request: Request, grant_id: str) -> Response:
        acting = await desk.acting(request)
        await desk.form(request)
        return desk.go(await desk.flows.returning.back(grant_id, acting))


async def for_request(desk: Desk, request: Request, rid: str) -> Acting:
    """Who acts, changed to the enterprise the request is for when the signatory may act for it."""
    acting = await desk.acting(request)
    enterprise = await desk.flows.asks.enterprise_of(rid)
    if enterprise in dict(acting.others):
        return await desk.flows.people.act(await desk.flows.people.switch(acting, enterprise))
    return acting


async def review_page(
    desk: Desk, request: Request, rid: str, acting: Acting, refused: ChoiceRefused | None = None
) -> Response:
    """The review; its refusing button leads to the bank, so the page's policy names the bank's origin."""
    view = await desk.flows.signing.review(rid, acting, refused)
    status = 200 if refused is None else 400
    return desk.render(request, "review.html", status, acting=acting, origin=view.origin, view=view)
