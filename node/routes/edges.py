"""Edges of the application: whatever FastAPI itself would answer becomes a problem document (RFC 9457)."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from node.errors import StoreUnavailable
from node.routes import problems
from node.routes.gateway import interaction_of

log = logging.getLogger("xyd.edge")
_CODES = {
    404: "resource.unknown",
    405: "request.method",
    413: "request.too_large",
    415: "request.media",
    503: "store.unavailable",
}


def install(app: FastAPI) -> None:
    """Register the handlers."""

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        code = _CODES.get(status, "request.invalid" if status < 500 else "node.internal")
        interaction = interaction_of(request.scope["headers"])
        problem = problems.render(code, "", interaction_id=interaction, instance=request.url.path)
        headers = {name.decode(): value.decode() for name, value in problem.headers}
        headers["x-interaction-id"] = interaction
        if isinstance(error, HTTPException) and error.headers:
            headers |= error.headers
        return Response(problem.body, problem.status, headers=headers)

    async def broken(request: Request, error: Exception) -> Response:
        answer = await refused(request, HTTPException(500))
        log.error("unhandled %s, id %s", type(error).__name__, answer.headers["x-interaction-id"], exc_info=error)
        return answer

    async def away(request: Request, _error: Exception) -> Response:
        return await refused(request, HTTPException(503))

    app.add_exception_handler(Exception, broken)
    app.add_exception_handler(StoreUnavailable, away)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, refused)
