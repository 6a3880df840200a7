"""The sandbox departments as ASGI applications: protocol, key, fields, counters, fault control."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest

from deploy.sandbox.departments import build
from deploy.sandbox.firms import firm

ASKED = {"dataset": "tax.vat_invoice_summary", "uscc": firm(31).code, "from": "2026-01", "to": "2026-02"}


@pytest.fixture
async def tax() -> AsyncIterator[httpx.AsyncClient]:
    """The tax department."""
    transport = httpx.ASGITransport(build(date(2026, 11, 23), "k")["tax"])
    async with httpx.AsyncClient(transport=transport, base_url="http://tax", headers={"X-Api-Key": "k"}) as client:
        yield client


async def post(client: httpx.AsyncClient, **change: Any) -> httpx.Response:
    """One question."""
    return await client.post("/v1/records", json=ASKED | {"fields": ["tax_amount"]} | change)


async def test_it_answers_what_was_asked_with_subject_and_month(tax: httpx.AsyncClient) -> None:
    answer = (await post(tax)).json()
    assert (answer["uscc"], answer["dataset"]) == (ASKED["uscc"], ASKED["dataset"])
    assert [set(row) for row in answer["records"]] == [{"uscc", "period", "tax_amount"}] * 4
    assert {row["period"] for row in answer["records"]} == {"2026-01", "2026-02"}


async def test_an_unknown_firm_is_said_to_be_unknown(tax: httpx.AsyncClient) -> None:
    response = await post(tax, uscc="91000000000999998K")
    assert (response.status_code, response.json()) == (404, {"state": "no_record"})


@pytest.mark.parametrize("change", [{"dataset": "water.water_usage"}, {"fields": "all"}, {"sql": "drop"}])
async def test_a_bad_question_is_refused_and_not_counted(tax: httpx.AsyncClient, change: dict[str, Any]) -> None:
    assert (await post(tax, **change)).status_code == 400
    assert sum((await tax.get("/sandbox/counts")).json().values()) == 0


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/records"), ("POST", "/sandbox/faults"), ("GET", "/sandbox/counts")]
)
async def test_every_path_wants_the_key(tax: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await tax.request(method, path, headers={"X-Api-Key": "wrong"})).status_code == 401


async def test_every_question_is_counted_also_a_spoilt_one(tax: httpx.AsyncClient) -> None:
    await post(tax)
    for mode, status in (("down", 503), ("redirect", 302), ("none", 200)):
        assert (await tax.post("/sandbox/faults", json={"dataset": "*", "mode": mode})).status_code == 200
        assert (await post(tax)).status_code == status
    assert (await tax.get("/sandbox/counts")).json()["tax.vat_invoice_summary"] == 4


async def test_an_unknown_fault_is_refused(tax: httpx.AsyncClient) -> None:
    assert (await tax.post("/sandbox/faults", json={"dataset": "*", "mode": "explode"})).status_code == 400
