"""The phone's doors: /oauth/authorize and everything below /phone.

Every failure is answered with a page a person understands, never with a redirect to an address that was not checked.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from node.faces.render import Faces
from node.flows.phone.errors import NotYours
from node.flows.phone.flows import PhoneFlows
from node.routes import phone_account, phone_consent, phone_entry
from node.routes.phone_desk import Desk


def router(phone: PhoneFlows, faces: Faces) -> APIRouter:
    """Routes of the phone. They are pages, so the API description leaves them out."""
    desk = Desk(phone, faces)
    routes = APIRouter(route_class=desk.route_class(), include_in_schema=False)
    phone_entry.add(routes, desk)
    phone_consent.add(routes, desk)
    phone_account.add(routes, desk)

    @routes.api_route("/phone/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def nothing(request: Request, rest: str) -> Response:
        raise NotYours(f"{request.method} on an unknown path of {len(rest)} characters")

    return routes
