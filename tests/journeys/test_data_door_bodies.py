"""Bad bodies at the bank's data door: size, JSON, members, characters. Every one is a clear refusal, none an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.journeys.actors import ASSESSMENTS, SENTINEL, Consent, Scene, problem, proof

BOTH = pytest.mark.parametrize("path", ["/v1/queries", ASSESSMENTS])
MEGABYTE = 1_000_000
HOSTILE = [
    SENTINEL,
    f"{SENTINEL}\u0000\u0007\u001b[31m\r\nX-Evil: 1",
    f"\u202e{SENTINEL}\u2066\ufeff",
    "'; DROP TABLE journal_entry; --" + SENTINEL,
    "../../../" + SENTINEL,
    SENTINEL * 500,
    "\ud800" + SENTINEL,
    "９１000000000000019Ｇ" + SENTINEL,
]


def of(consent: Consent, place: str, value: Any) -> dict[str, Any]:
    """A query with a value put in one place of it."""
    item: dict[str, Any] = {"dataset": "tax.vat_invoice_summary", "fields": ["period"]}
    item["period"] = {"from": "2026-01", "to": "2026-03"}
    body: dict[str, Any] = {"subject": {"uscc": consent.uscc}, "purpose": "LOAN_APPLICATION", "items": [item]}
    *way, last = place.split(".")
    target: Any = body
    for step in way:
        target = target[int(step)] if step.isdigit() else target[step]
    target[int(last) if last.isdigit() else last] = value
    return body


PLACES = [
    "subject", "subject.uscc", "purpose", "items", "items.0", "items.0.dataset", "items.0.fields", "items.0.fields.0",
    "items.0.period", "items.0.period.from", "items.0.period.to", "items.0.form",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_in_any_member_is_refused_and_not_echoed(
    scene: Scene, consent: Consent, door: str, place: str
) -> None:
    for value in HOSTILE:
        answer = scene.call(consent, json.dumps(of(consent, place, value)).encode(), door=door)
        assert answer.status_code in (400, 403), (value[:20], answer.text)
        problem(answer, answer.status_code)


@pytest.mark.parametrize("place", [each for each in PLACES if each != "items"])
def test_a_value_of_another_type_is_refused(scene: Scene, consent: Consent, door: str, place: str) -> None:
    for value in (None, 7, -1.5, True, [], {}, [[]], 10**400, ""):
        allowed_absence = value is None and place in ("items.0.fields", "items.0.period")
        if allowed_absence:
            continue
        answer = scene.call(consent, json.dumps(of(consent, place, value)).encode(), door=door)
        problem(answer, 400, "request.invalid")


@pytest.mark.parametrize("place", ["extra", "subject.extra", "items.0.extra", "items.0.period.extra", f"{SENTINEL}"])
def test_an_unknown_member_is_refused(scene: Scene, consent: Consent, door: str, place: str) -> None:
    problem(scene.call(consent, of(consent, place, 1), door=door), 400, "request.invalid")


@pytest.mark.parametrize("place", ["subject", "purpose", "subject.uscc", "items.0.dataset", "items.0.period.to"])
def test_a_missing_member_is_refused(scene: Scene, consent: Consent, door: str, place: str) -> None:
    body = of(consent, place, SENTINEL)
    text = json.dumps(body, ensure_ascii=False).replace(
        json.dumps(place.rsplit(".", maxsplit=1)[-1]) + ": ", '"gone": '
    )
    problem(scene.call(consent, text.encode(), door=door), 400, "request.invalid")


def doubled(consent: Consent) -> Iterator[bytes]:
    """Bodies that name a member twice: two readers would read two things."""
    firm = json.dumps(consent.uscc)
    other, loan = '"uscc":"91000000000000019G"', '"purpose":"LOAN_APPLICATION"'
    yield f'{{"subject":{{{other}}},"subject":{{"uscc":{firm}}},{loan}}}'.encode()
    yield f'{{"subject":{{{other},"uscc":{firm}}},{loan}}}'.encode()
    yield f'{{"subject":{{"uscc":{firm}}},"purpose":"POST_LOAN",{loan}}}'.encode()
    yield f'{{"subject":{{"uscc":{firm}}},"purpos\\u0065":"POST_LOAN",{loan}}}'.encode()


def test_a_member_named_twice_is_refused(scene: Scene, consent: Consent, door: str) -> None:
    before = len(scene.entries())
    for body in doubled(consent):
        problem(scene.call(consent, body, door=door), 400, "request.invalid")
    assert len(scene.entries()) == before


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"}", b"null", b"[]", b'""', b"7", b"\x00", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}garbage",
        b"{'subject':{}}", b'{"subject":NaN}', b'{"subject":Infinity}', b'{"a":1,}', b"<xml/>", b"subject=1",
        b"[" * 60_000, b'{"subject":' * 5_000, b"\xe4\xbf" * 100, SENTINEL.encode("gb18030"),
        '{"subject":{"uscc":"1"},"purpose":"P"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_not_a_query_is_refused(scene: Scene, consent: Consent, door: str, path: str, body: bytes) -> None:
    answer = scene.call(consent, body or b" ", door=door, path=path)
    told = problem(answer, 400, "request.invalid")
    assert told["fault_domain"] == "caller" and told["retryable"] is False


@BOTH
def test_a_megabyte_is_refused_before_it_is_read_as_json(scene: Scene, consent: Consent, door: str, path: str) -> None:
    for body in (b"x" * MEGABYTE, json.dumps(consent.body).encode() + b" " * MEGABYTE):
        told = problem(scene.call(consent, body, door=door, path=path), 413, "request.too_large")
        assert told["errors"][0]["max"] == 65_536


def test_a_megabyte_without_a_stated_length_is_refused(scene: Scene, consent: Consent, door: str) -> None:
    headers = {
        "Authorization": f"DPoP {consent.token}",
        "DPoP": proof(consent),
        "Idempotency-Key": "chunked",
        "Content-Type": "application/json",
    }
    with httpx.Client(timeout=20, trust_env=False) as client:
        parts = (b" " * 10_000 for _ in range(100))
        problem(client.post(f"{door}/v1/queries", content=parts, headers=headers), 413, "request.too_large")


@pytest.mark.parametrize(
    "media",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jso",
        "application/json-patch+json",
        "*/*",
        "应用/json",
        "application/json, text/plain",
    ],
)
def test_another_content_type_is_refused(scene: Scene, consent: Consent, door: str, media: str | None) -> None:
    problem(scene.call(consent, door=door, headers={"Content-Type": media}), 415, "request.media")


def test_json_may_name_its_encoding(scene: Scene, door: str) -> None:
    given = scene.consented()
    for media in ("application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
        assert scene.call(given, door=door, headers={"Content-Type": media}).status_code == 200


@BOTH
@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_another_verb_is_refused_with_the_allowed_one(scene: Scene, door: str, path: str, verb: str) -> None:
    answer = scene.http.request(verb, door + path, headers={"X-Interaction-Id": "interaction-of-mine"})
    assert (answer.status_code, answer.headers.get("allow")) == (405, "POST")
    if verb != "HEAD":
        assert problem(answer, 405, "request.method")["interaction_id"] == "interaction-of-mine"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/queries/", "/v1/nothing", "/v1/%E4%B8%AD", "/v1/queries/%00"])
def test_an_unknown_address_is_a_problem_too(scene: Scene, door: str, path: str) -> None:
    for verb in ("GET", "POST"):
        answer = scene.http.request(verb, door + path, headers={"X-Interaction-Id": "interaction-of-mine"})
        assert problem(answer, 404, "resource.unknown")["interaction_id"] == "interaction-of-mine"


def test_an_assessment_takes_no_items(scene: Scene, consent: Consent, door: str) -> None:
    body = of(consent, "purpose", "LOAN_APPLICATION")
    problem(scene.call(consent, body, door=door, path=ASSESSMENTS), 400, "request.invalid")


def test_the_catalogue_and_the_purposes_can_be_read_by_anyone(scene: Scene, door: str) -> None:
    catalogue = scene.http.get(f"{door}/v1/catalogue").json()
    assert {"version", "sha256", "items"} <= set(catalogue) and len(catalogue["items"]) >= 62
    assert {each["code"] for each in scene.http.get(f"{door}/v1/policies").json()["policies"]} >= {"LOAN_APPLICATION"}
