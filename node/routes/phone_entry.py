"""Doors through which people come in: the bank's redirect, the sign-in page, the change of enterprise."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from node.flows.phone.errors import ShelfDown, SignInNeeded
from node.flows.phone.people import SignInRefused
from node.routes.phone_desk import SESSION, VISITOR, Desk, Form, local_path, set_cookie

_ASK = "/phone/requests/"


def add(routes: APIRouter, desk: Desk) -> None:
    """Add the routes."""

    @routes.get("/oauth/authorize")
    async def authorize(request: Request) -> Response:
        rid = await desk.flows.asks.visit(request.scope["query_string"])
        return desk.go(f"{_ASK}{rid}")

    @routes.get("/phone/login")
    async def login_page(request: Request) -> Response:
        try:
            await desk.acting(request)
            return desk.go(local_path(request.query_params.get("next", "")))
        except SignInNeeded:
            return await login_form(desk, request, request.query_params.get("next", ""))

    @routes.post("/phone/login")
    async def login(request: Request) -> Response:
        form = await desk.form(request, VISITOR)
        address = request.client.host if request.client else ""
        try:
            session = await desk.flows.people.sign_in(one(form, "mobile"), one(form, "passcode")[:64], address)
        except SignInRefused as refused:
            return await login_form(desk, request, one(form, "next"), refused.code, one(form, "mobile")[:20])
        response = desk.go(local_path(one(form, "next")))
        set_cookie(response, SESSION, session.id, None, secure=desk.faces.secure)
        return response

    @routes.post("/phone/logout")
    async def logout(request: Request) -> Response:
        acting = await desk.acting(request)
        await desk.form(request)
        await desk.flows.sessions.end(acting.session)
        response: RedirectResponse = desk.go("/phone/login")
        response.delete_cookie(SESSION, path="/", httponly=True, samesite="lax", secure=desk.faces.secure)
        return response

    @routes.get("/phone/switch")
    async def switch_page(request: Request) -> Response:
        acting = await desk.acting(request)
        choices = ((str(acting.enterprise), acting.enterprise_name), *acting.others)
        return desk.page(request, "switch.html", acting=acting, view={"choices": choices})

    @routes.post("/phone/switch")
    async def switch(request: Request) -> Response:
        acting = await desk.acting(request)
        form = await desk.form(request)
        await desk.flows.people.switch(acting, one(form, "enterprise"))
        return desk.go("/phone/")


async def login_form(desk: Desk, request: Request, back: str, error: str = "", mobile: str = "") -> Response:
    """The sign-in page; it names the bank when a request waits behind it."""
    following = local_path(back)
    bank = ""
    if following.startswith(_ASK):
        try:
            bank = await desk.flows.asks.bank_of(following.removeprefix(_ASK).partition("/")[0])
        except ShelfDown:
            bank = ""
    view = {"bank": bank, "next": following, "error": error, "mobile": mobile}
    status = {"": 200, "many": 429}.get(error, 401)
    return desk.render(request, "login.html", status, view=view)


def one(form: Form, name: str) -> str:
    """The one value of a member, "" when it is absent."""
    return (form.get(name) or [""])[0]
