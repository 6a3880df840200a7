"""Limit: FastAPI and aiohttp, three departments in parallel, bytes passed through unread, no checks: the floor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from fastapi import FastAPI, Request, Response


def build(place: dict[str, Any]) -> FastAPI:
    """The application. `place` tells where the departments are and their key."""
    url = place["departments"] + "/v1/records"
    headers = {"X-Api-Key": place["key"], "Content-Type": "application/json"}
    sessions: list[aiohttp.ClientSession] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(headers=headers) as session:
            sessions.append(session)
            yield

    async def ask(uscc: str, item: dict[str, Any]) -> bytes:
        question = {"dataset": item["dataset"], "uscc": uscc, **item["period"]}
        async with sessions[0].post(url, data=json.dumps(question)) as answer:
            return await answer.read()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.post("/v1/queries")
    async def query(request: Request) -> Response:
        asked = json.loads(await request.body())
        legs = await asyncio.gather(*[ask(asked["subject"]["uscc"], item) for item in asked["items"]])
        return Response(b'{"legs":[' + b",".join(legs) + b"]}", media_type="application/json")

    return app
