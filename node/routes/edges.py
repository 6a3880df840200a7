"""Edges of the application: whatever FastAPI itself would answer becomes a problem document (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from node.routes import problems
from node.routes.gateway import fresh_interaction

_CODES = {404: "resource.unknown", 405: "request.method", 413: "request.too_large", 415: "request.media"}


def install(app: FastAPI) -> None:
    """Register the handlers."""

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        code = _CODES.get(status, "request.invalid" if status < 500 else "node.internal")
        problem = problems.render(code, "", interaction_id=fresh_interaction(), instance=request.url.path)
        headers = {name.decode(): value.decode() for name, value in problem.headers}
        if isinstance(error, HTTPException) and error.headers:
            headers |= error.headers
        return Response(problem.body, problem.status, headers=headers)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, refused)
