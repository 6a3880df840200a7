"""The phone's desk: what every one of its doors does the same way.

Cookies, the anti-forgery token and origin of every form, language and letter size, and the page for each failure.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from consent.errors import Conflict, Invalid, OverBound, Refusal
from node.faces.render import Faces
from node.faces.texts import Lang
from node.faces.views import SIZES, Page, Size
from node.flows.phone.errors import OUTAGES, Forged, PhoneFailure, SignInNeeded
from node.flows.phone.flows import PhoneFlows
from node.flows.phone.people import Acting
from node.flows.phone.sessions import check_csrf, csrf_token, new_number, new_visitor
from node.flows.phone.signing import NoDraft
from node.journal.act import JournalUnavailable

SESSION = "xyd_session"
VISITOR = "xyd_visitor"
YEAR_S = 365 * 86_400
MAX_FORM = 65_536
"""Bytes of a form or a signature; real ones are below 4 KB."""
MAX_MEMBERS = 200
STATUS = {
    "not_found": 404,
    "forged": 403,
    "too_many": 429,
    "request_unknown": 400,
    "decided": 409,
    "changed": 409,
    "store_down": 503,
    "journal_down": 503,
    "over_bound": 400,
    "wrong_method": 405,
    "failed": 500,
}
_LOCAL = re.compile(r"/phone/[A-Za-z0-9_/.-]{0,120}(\?[A-Za-z0-9_=&-]{0,80})?")
log = logging.getLogger("xyd.phone")
Form = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Flows and faces, and the manners of a browser's door."""

    flows: PhoneFlows
    faces: Faces

    async def acting(self, request: Request) -> Acting:
        """Who is signed in, with a live mandate. Raises SignInNeeded."""
        return await self.flows.people.act(await self.flows.sessions.find(request.cookies.get(SESSION, "")))

    async def form(self, request: Request, cookie: str = SESSION) -> Form:
        """The members of a form of our own page. Raises Forged for any other.

        The sign-in form hangs on the visitor's cookie, because a session's may be left over from an ended session.
        """
        secret = request.cookies.get(cookie, "")
        self.check_origin(request)
        body = await read_body(request)
        try:
            form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_MEMBERS)
        except ValueError:
            raise Forged("shape") from None
        check_csrf(secret, (form.get("csrf") or [""])[0])
        return form

    async def message(self, request: Request) -> str:
        """The JSON text that a script of our own page sent. Raises Forged for any other."""
        self.check_origin(request)
        check_csrf(request.cookies.get(SESSION, ""), request.headers.get("x-csrf", ""))
        return (await read_body(request)).decode(errors="replace")

    def check_origin(self, request: Request) -> None:
        """Browsers name the origin with every POST; only ours may send forms here."""
        if request.headers.get("origin") != self.flows.party.origin:
            raise Forged("origin")

    def page(
        self, request: Request, template: str, *, acting: Acting | None = None, origin: str = "", **context: Any
    ) -> HTMLResponse:
        """A page in the reader's language. `origin` is the bank a form on it may lead to."""
        return self.render(request, template, 200, acting=acting, origin=origin, **context)

    def render(
        self,
        request: Request,
        template: str,
        status: int,
        *,
        acting: Acting | None = None,
        origin: str = "",
        **context: Any,
    ) -> HTMLResponse:
        """A page with a status. The visitor's cookie carries the anti-forgery token before anyone signed in."""
        lang, size = chosen(request)
        visitor = request.cookies.get(VISITOR, "") or new_visitor()
        page = Page(
            lang=lang,
            size=size,
            path=request.url.path,
            query=request.url.query if status < 400 else "",  # an error page echoes nothing
            csrf=csrf_token(visitor) if acting is None else acting.session.csrf,
            signed_in=acting is not None,
        )
        html = self.faces.page(template, page, acting=acting, **context)
        response = HTMLResponse(html, status, headers=self.faces.headers(origin))
        if acting is None:
            set_cookie(response, VISITOR, visitor, None, secure=self.faces.secure)
        for name in {"lang", "size"} & set(request.query_params):
            value = {"lang": lang, "size": size or "normal"}[name]
            set_cookie(response, f"xyd_{name}", value, YEAR_S, secure=self.faces.secure)
        return response

    def problem(self, request: Request, code: str, *, cause: str = "") -> Response:
        """The page of a failure, or JSON for a script. The number on it finds the line in the log."""
        status, number = STATUS.get(code, 400), new_number()
        log.log(logging.ERROR if status >= 500 else logging.INFO, "%s %s %s", number, code, cause)
        if from_script(request):
            return JSONResponse({"code": code, "number": number}, status, headers=self.faces.headers())
        view = {"code": code, "number": number}
        return self.render(request, "problem.html", status, view=view)

    def sign_in(self, request: Request) -> Response:
        """To the sign-in page and back afterwards; a script is told where to go."""
        if from_script(request):
            return JSONResponse({"code": "sign_in", "next": "/phone/login"}, 401, headers=self.faces.headers())
        back = request.url.path if request.method == "GET" else ""
        return self.go(f"/phone/login?next={back}" if _LOCAL.fullmatch(back) else "/phone/login")

    def go(self, location: str) -> RedirectResponse:
        """303: the form is not sent again, and never a 307 with what was typed in."""
        return RedirectResponse(location, 303, headers=self.faces.headers())

    def route_class(self) -> type[APIRoute]:
        """Routes that answer every named failure with a page."""
        desk = self

        class PhoneRoute(APIRoute):
            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                inner = super().get_route_handler()

                async def handler(request: Request) -> Response:
                    return await desk.guard(request, inner)

                return handler

        return PhoneRoute

    async def guard(self, request: Request, inner: Callable[[Request], Awaitable[Response]]) -> Response:
        """Answer a failure with its page."""
        try:
            return await inner(request)
        except (PhoneFailure, Refusal, JournalUnavailable, HTTPException) as error:
            return self.answer(request, error)
        except OUTAGES as error:
            return self.problem(request, "store_down", cause=type(error).__name__)

    def answer(self, request: Request, error: Exception) -> Response:
        """The page, or for a script the JSON, of a named failure."""
        match error:
            case SignInNeeded():
                return self.sign_in(request)
            case NoDraft():
                return self.go(request.url.path.rsplit("/", 1)[0])
            case PhoneFailure():
                code, cause = error.code, error.cause
            case JournalUnavailable():
                code, cause = "journal_down", str(error)
            case OverBound():
                code, cause = "over_bound", error.detail
            case Refusal():
                return self.refusal(request, error)
            case _:
                code, cause = "wrong_method" if getattr(error, "status_code", 404) == 405 else "not_found", ""
        return self.problem(request, code, cause=cause)

    def refusal(self, request: Request, refusal: Refusal) -> Response:
        """A refusal of the law: JSON for the signing script, a page otherwise."""
        status = 409 if isinstance(refusal, Conflict) else 400 if isinstance(refusal, Invalid) else 403
        log.info("%s %s", refusal.code, refusal.cause or refusal.detail)
        if from_script(request):
            body = {"code": refusal.code, "detail": refusal.detail}
            return JSONResponse(body, status, headers=self.faces.headers())
        return self.problem(request, "changed" if status == 409 else "not_found", cause=refusal.code)


async def read_body(request: Request) -> bytes:
    """The body, up to its limit. Raises Forged beyond: none of our pages sends so much."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise Forged("size")
    return body


def from_script(request: Request) -> bool:
    """Our own scripts send JSON; forms never do."""
    return request.headers.get("content-type", "").startswith("application/json")


def set_cookie(response: Response, name: str, value: str, max_age: int | None, *, secure: bool) -> None:
    """A cookie for this host only, out of reach of scripts, not sent along by other sites' forms."""
    response.set_cookie(name, value, max_age=max_age, path="/", httponly=True, samesite="lax", secure=secure)


def chosen(request: Request) -> tuple[Lang, Size]:
    """Language and letter size: what the address says, else the cookie, else Chinese in the standard size."""
    lang = request.query_params.get("lang") or request.cookies.get("xyd_lang", "")
    size = request.query_params.get("size") or request.cookies.get("xyd_size", "")
    found: Size = next((each for each in SIZES if each == size), "")
    return ("en" if lang == "en" else "zh"), found


def local_path(text: str) -> str:
    """Where to go after signing in: a page of the phone, nothing else."""
    return text if _LOCAL.fullmatch(text) else "/phone/"


def file_answer(name: str, body: dict[str, Any], headers: dict[str, str]) -> Response:
    """A JSON file to keep."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    text = json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True)
    return Response(text, media_type="application/json", headers=headers | disposition)
