"""The bank's doors beside the hot one: catalogue, purpose templates, and the routes that describe the data door in
OpenAPI.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from consent.catalogue import Catalogue
from consent.purpose import templates
from node.routes.front import read_body
from node.routes.gateway import Gateway

_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": title, "content": {"application/problem+json": {}}}
    for status, title in (
        (400, "Malformed"),
        (401, "Token or proof not accepted"),
        (403, "Consent not in force or exceeded"),
        (404, "No such enterprise, or no consent of it"),
        (409, "Same key under way"),
        (422, "Over a bound, or key used for another body"),
        (429, "Too many requests"),
        (503, "The journal or the replay memory is out"),
    )
}
_QUERY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["subject", "purpose"],
    "additionalProperties": False,
    "properties": {
        "subject": {
            "type": "object",
            "required": ["uscc"],
            "additionalProperties": False,
            "properties": {"uscc": {"type": "string", "minLength": 18, "maxLength": 18}},
        },
        "purpose": {"type": "string"},
        "items": {
            "type": "array",
            "maxItems": 62,
            "items": {
                "type": "object",
                "required": ["dataset"],
                "additionalProperties": False,
                "properties": {
                    "dataset": {"type": "string"},
                    "form": {"type": "string", "enum": ["read"]},
                    "fields": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 64},
                    "period": {
                        "type": "object",
                        "required": ["from", "to"],
                        "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
                    },
                },
            },
        },
    },
}
_PARAMETERS = [
    {"in": "header", "name": name, "required": required, "schema": {"type": "string"}, "description": text}
    for name, required, text in (
        ("Authorization", True, "DPoP <access token>"),
        ("DPoP", True, "proof of possession, RFC 9449"),
        ("Idempotency-Key", True, "1 to 64 printable ASCII characters; a repeat gets the same data"),
        ("Prefer", False, "wait=N seconds for the departments, RFC 7240"),
        ("X-Interaction-Id", False, "echoed; minted when absent"),
    )
]


def _described(summary: str) -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": _QUERY_SCHEMA}}}
    return {
        "summary": summary,
        "responses": _RESPONSES,
        "openapi_extra": {"requestBody": body, "parameters": _PARAMETERS},
    }


def router(gateway: Gateway, catalogue: Catalogue) -> APIRouter:
    """Routes of the bank."""
    routes = APIRouter(tags=["Bank"])

    async def hot(request: Request) -> Response:
        body = await read_body(request.receive)
        answer = await gateway.handle(request.url.path, request.scope["headers"], body)
        response = Response(answer.body, answer.status)
        response.raw_headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
        return response

    routes.add_api_route(
        "/v1/queries", hot, methods=["POST"], name="query", **_described("Query an enterprise's data under its consent")
    )
    routes.add_api_route(
        "/v1/assessments", hot, methods=["POST"], name="assess", **_described("Score an enterprise inside the node")
    )

    @routes.get("/v1/catalogue", summary="Information items, their fields and forms")
    async def items() -> Response:
        return JSONResponse(_catalogue(catalogue), headers={"Cache-Control": "public, max-age=3600"})

    @routes.get("/v1/policies", summary="Purpose templates: the upper bounds of what may be asked")
    async def policies() -> Response:
        return JSONResponse(_policies(catalogue), headers={"Cache-Control": "public, max-age=3600"})

    return routes


def _catalogue(catalogue: Catalogue) -> dict[str, Any]:
    items = [
        {
            "dataset": item.name,
            "label": item.label,
            "provider": item.provider,
            "forms": item.forms,
            "consent": item.consent,
            "history_months": item.history_months,
            "fields": [{"name": f.name, "label": f.label, "type": f.type, "unit": f.unit} for f in item.fields],
        }
        for item in catalogue.items.values()
    ]
    return {"version": catalogue.version, "sha256": catalogue.sha256, "items": items}


def _policies(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "policies": [
            {
                "code": each.code,
                "label": each.label,
                "label_en": each.label_en,
                "statement": each.statement,
                "sha256": each.sha256,
                "max_days": each.max_days,
                "max_queries": each.max_queries,
                "retention_days": each.retention_days,
                "datasets": {
                    name: {"forms": bound.forms, "fields": bound.fields, "lookback_months": bound.lookback_months}
                    for name, bound in each.datasets.items()
                },
            }
            for each in templates(catalogue).values()
        ]
    }
