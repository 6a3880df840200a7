"""The operator's own door, on a port of its own: `/livez`, `/readyz`, `/metrics`. Not for the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from node.metrics import Metrics

CHECK_TIMEOUT_S = 2.0
Check = Callable[[], Awaitable[str]]
"""'' when well, else what is wrong."""


def operator_app(metrics: Metrics, checks: Mapping[str, Check]) -> FastAPI:
    """The application of the operator's port."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/livez")
    async def livez() -> Response:
        return JSONResponse({"live": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        found = {name: await _bounded(check) for name, check in checks.items()}
        ready = not any(found.values())
        return JSONResponse({"ready": ready, "checks": {k: v or "ok" for k, v in found.items()}}, 200 if ready else 503)

    @app.get("/metrics")
    async def scrape() -> Response:
        # A scrape of a few hundred series takes tens of milliseconds: not on the loop that serves banks.
        return Response(await asyncio.to_thread(generate_latest, metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def _bounded(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return "no answer"
    except (OSError, RuntimeError) as error:
        return type(error).__name__
