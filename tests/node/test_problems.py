"""The error table: every refusal has its row, and a problem document says no more than its row and the safe detail."""

import ast
import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from fastapi import FastAPI, HTTPException
from httpx import ASGITransport, AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st

import node
from consent.errors import Conflict, GrantEnded, Invalid, NotGranted, OverBound, Refusal, Unauthenticated
from consent.grant import GrantState
from node.flows.admission import refusal_of
from node.routes import edges, problems

ROOT = Path(__file__).parents[2]
FAULT_DOMAINS = {"caller", "consent", "policy", "source", "audit", "gateway"}
SECRET = "10.0.0.1 password=hunter2 张三"


def everything() -> None:
    """Import every module of the node, so that every refusal is known."""
    for found in pkgutil.walk_packages(node.__path__, "node."):
        if not found.name.startswith(("node.migrations", "node.__main__")):
            import_module(found.name)


def below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    """The class and every one made from it."""
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def literal_codes() -> set[str]:
    """Every `code="..."` given to one refusal of the API, in the law and in the flows."""
    files = [*ROOT.glob("consent/*.py"), *ROOT.glob("node/flows/*.py"), *ROOT.glob("node/routes/*.py")]
    found = set()
    for file in files:
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(each, ast.Call):
                found |= {
                    word.value.value
                    for word in each.keywords
                    if word.arg == "code" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
                }
    return found


def test_every_refusal_in_the_tree_has_a_row() -> None:
    everything()
    codes = {kind.code for kind in below(Refusal)} - {Refusal.code}
    assert len(codes) >= 15
    assert codes <= set(problems.TABLE)


def test_every_code_given_to_a_refusal_has_a_row() -> None:
    codes = literal_codes()
    assert {"consent.purpose", "consent.scope", "ground.unsupported", "signature.invalid"} <= codes
    assert codes <= set(problems.TABLE)


@pytest.mark.parametrize("state", [state for state in GrantState if state is not GrantState.ACTIVE])
def test_every_state_of_a_grant_that_ends_a_query_has_a_row(state: GrantState) -> None:
    refusal = refusal_of(f"consent.{state}")
    assert isinstance(refusal, GrantEnded) and problems.TABLE[refusal.code].status == 403


def test_what_the_lock_says_becomes_the_refusal_the_caller_hears() -> None:
    assert isinstance(refusal_of("token.ended"), Unauthenticated)
    assert isinstance(refusal_of("consent.unknown"), NotGranted)
    assert refusal_of("consent.changed").code == "consent.changed" and problems.TABLE["consent.changed"].retryable


@pytest.mark.parametrize("code", sorted(problems.TABLE))
def test_a_row_is_a_client_or_server_error_with_a_place_of_fault(code: str) -> None:
    row = problems.TABLE[code]
    assert 400 <= row.status <= 599 and row.title and row.fault_domain in FAULT_DOMAINS
    assert row.status < 500 or row.fault_domain not in ("caller", "consent", "policy")
    assert not row.retryable or row.status in (403, 409, 429, 500, 502, 503)


@pytest.mark.parametrize("code", sorted(problems.TABLE))
def test_a_problem_document_has_the_members_of_rfc_9457_and_ours(code: str) -> None:
    problem = problems.render(
        code, "why", interaction_id="id-1", instance="/v1/queries", extra={"limit": "x", "max": 1}
    )
    row, told = problems.TABLE[code], json.loads(problem.body)
    later = {"retry_after_ms": 1000} if row.status in (429, 503) else {}
    assert told == {
        "type": f"urn:xyd:problem:{code}",
        "title": row.title,
        "status": row.status,
        "detail": "why",
        "code": code,
        "fault_domain": row.fault_domain,
        "retryable": row.retryable,
        "instance": "/v1/queries",
        "interaction_id": "id-1",
        "errors": [{"limit": "x", "max": 1}],
        **later,
    }
    assert problem.status == row.status
    headers = dict(problem.headers)
    assert headers[b"content-type"] == b"application/problem+json" and headers[b"cache-control"] == b"no-store"
    assert (b"retry-after" in headers) is bool(later)


def test_members_that_say_nothing_are_left_out() -> None:
    told = json.loads(problems.render("request.invalid", "", interaction_id="i", instance="/").body)
    assert "detail" not in told and "errors" not in told


@pytest.mark.parametrize("code", ["", "unheard.of", "consent.paused", "Request.Invalid"])
def test_a_code_without_a_row_is_an_error_inside_and_says_nothing_more(code: str) -> None:
    problem = problems.render(code, SECRET, interaction_id="id-1", instance="/", extra={"limit": SECRET})
    told = json.loads(problem.body)
    assert problem.status == 500 and told["code"] == "node.internal"
    assert "detail" not in told and "errors" not in told and SECRET not in problem.body.decode()


@given(st.text(min_size=9, max_size=40), st.sampled_from([Invalid, Unauthenticated, NotGranted, OverBound, Conflict]))
@settings(deadline=None, max_examples=100)
def test_the_private_cause_is_never_told(cause: str, kind: type[Refusal]) -> None:
    with_cause = kind("safe words", cause=cause, extra={"limit": "items"})
    without = kind("safe words", extra={"limit": "items"})
    told = [problems.of_refusal(each, interaction_id="id-1", instance="/v1") for each in (with_cause, without)]
    assert told[0] == told[1]


def test_every_refusal_renders_the_same_with_and_without_a_cause() -> None:
    everything()
    for kind in below(Refusal):
        refusal = kind() if kind.__init__ is not Refusal.__init__ else kind("safe")
        before = problems.of_refusal(refusal, interaction_id="i", instance="/")
        refusal.cause = SECRET
        after = problems.of_refusal(refusal, interaction_id="i", instance="/")
        assert before == after and SECRET.encode() not in after.body


def test_what_the_framework_would_answer_is_a_problem_too() -> None:
    assert set(edges._CODES.values()) <= set(problems.TABLE)


async def edge(method: str, path: str) -> tuple[int, dict[str, object], dict[str, str]]:
    """One call to a small application with our edges."""
    app = FastAPI()
    edges.install(app)

    @app.get("/whole/{number}")
    async def whole(number: int) -> int:
        return number

    @app.get("/status/{status}")
    async def failing(status: int) -> None:
        raise HTTPException(status, detail=SECRET, headers={"x-more": "1"})

    async with AsyncClient(transport=ASGITransport(app), base_url="http://node") as client:
        answer = await client.request(method, path)
    return answer.status_code, answer.json(), dict(answer.headers)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "resource.unknown"),
        ("POST", "/whole/1", 405, "request.method"),
        ("GET", "/whole/secret-word", 400, "request.invalid"),
        ("GET", "/status/404", 404, "resource.unknown"),
        ("GET", "/status/413", 413, "request.too_large"),
        ("GET", "/status/415", 415, "request.media"),
        ("GET", "/status/418", 400, "request.invalid"),
        ("GET", "/status/500", 500, "node.internal"),
        ("GET", "/status/599", 500, "node.internal"),
    ],
)
async def test_the_edge_answers_problems_and_echoes_nothing(method: str, path: str, status: int, code: str) -> None:
    answered, told, headers = await edge(method, path)
    assert (answered, told["status"], told["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json" and told["instance"] == path
    assert "detail" not in told and SECRET not in json.dumps(told, ensure_ascii=False)
    assert headers.get("allow") == ("GET" if status == 405 else None)
