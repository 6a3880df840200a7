"""Plain: FastAPI and httpx, one department, no checks at all. What most people would call the bare minimum."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response


def build(place: dict[str, Any]) -> FastAPI:
    """The application. `place` tells where the department is and its key."""
    client = httpx.AsyncClient(base_url=place["departments"], headers={"X-Api-Key": place["key"]})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.post("/v1/queries")
    async def query(request: Request) -> Response:
        asked = json.loads(await request.body())
        item = asked["items"][0]
        question = {"dataset": item["dataset"], "uscc": asked["subject"]["uscc"], **item["period"]}
        answer = await client.post("/v1/records", json=question)
        return Response(answer.content, media_type="application/json")

    return app
