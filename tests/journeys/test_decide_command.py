"""`xyd sandbox decide` plays the phone: yes, no, partly; and what a request_uri may be used for."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.journeys.actors import Scene, ask, problem, xyd

WATER, TAX = "water.water_usage", "tax.vat_invoice_summary"


def pushed(scene: Scene, verifier: str = "v" * 43, bank: int = 0) -> tuple[str, str]:
    """A pushed request: its uri and state."""
    answer = scene.banks[bank].push(ask(scene.firm("good")), verifier)
    form = parse_qs(answer.request.content.decode())
    return answer.json()["request_uri"], form["state"][0]


def decided(scene: Scene, *arguments: str) -> dict[str, str]:
    """The redirect the command printed, as its parameters."""
    run = xyd("sandbox", "decide", "--dir", scene.stage.folder, *arguments)
    assert run.code == 0, (run.err[-500:], run.crash)
    (line,) = run.out.splitlines()
    assert line.startswith(scene.banks[0].redirect_uri + "?")
    scene.trail.redirect(line)
    return {name: values[0] for name, values in parse_qs(urlsplit(line).query).items()} | {"line": line}


def test_yes_prints_a_redirect_with_code_state_and_issuer(scene: Scene) -> None:
    verifier = secrets.token_urlsafe(48)
    uri, state = pushed(scene, verifier)
    told = decided(scene, "--request-uri", uri)
    assert (told["state"], told["iss"], "error" in told) == (state, scene.stage.issuer, False)
    assert scene.banks[0].redeem(told["line"], verifier).status_code == 200


def test_no_prints_access_denied_with_state_and_issuer(scene: Scene) -> None:
    uri, state = pushed(scene)
    before = len(scene.entries())
    told = decided(scene, "--request-uri", uri, "--deny")
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", state, scene.stage.issuer)
    assert "code" not in told
    assert [each["kind"] for each in scene.entries()[before:]] == ["REJECT"]


def test_a_dropped_item_is_not_granted_and_cannot_be_queried(scene: Scene, door: str) -> None:
    if door == scene.framed:
        given = scene.consented(drop=[WATER])
    else:
        verifier = secrets.token_urlsafe(48)
        uri, _ = pushed(scene, verifier)
        redirect = decided(scene, "--request-uri", uri, "--drop", WATER)["line"]
        answer = scene.banks[0].redeem(redirect, verifier).json()
        given = scene.consented(drop=[WATER])
        assert answer["authorization_details"][0]["items"] == given.details["items"]
    granted = [each["datatype"] for each in given.details["items"]]
    assert WATER not in granted and len(granted) == 3
    told = problem(scene.call(given, given.body | {"items": [{"dataset": WATER}]}, door=door), 403, "consent.scope")
    assert told["errors"] == [{"limit": WATER}]
    legs = scene.call(given, door=door).json()["data"]["legs"]
    assert [leg["dataset"] for leg in legs] == granted


def test_a_required_item_cannot_be_dropped(scene: Scene) -> None:
    uri, _ = pushed(scene)
    run = xyd("sandbox", "decide", "--dir", scene.stage.folder, "--request-uri", uri, "--drop", TAX)
    assert run.code != 0 and not run.out and run.crash is None, run.crash
    assert TAX in run.err
    told = decided(scene, "--request-uri", uri)
    assert "code" in told


def test_a_request_can_be_visited_again_before_the_decision_and_not_after(scene: Scene) -> None:
    uri, _ = pushed(scene)
    address = f"{scene.stage.issuer}/oauth/authorize?client_id={scene.banks[0].client_id}&request_uri={quote(uri)}"
    visits = [scene.http.get(address) for _ in range(3)]
    assert [each.status_code for each in visits] == [303] * 3
    scene.decide(scene.banks[0], uri)
    after = scene.http.get(address)
    assert after.status_code == 409 and after.headers["content-type"].startswith("text/html")
    assert "location" not in after.headers


def test_a_refused_request_is_over(scene: Scene) -> None:
    uri, _ = pushed(scene)
    scene.decide(scene.banks[0], uri, deny=True)
    address = f"{scene.stage.issuer}/oauth/authorize?client_id={scene.banks[0].client_id}&request_uri={quote(uri)}"
    assert scene.http.get(address).status_code == 409


@pytest.mark.parametrize("client", ["bank-linhai", "nobody", "", "银行", "a" * 100])
def test_a_request_of_another_client_looks_like_an_unknown_one(scene: Scene, client: str) -> None:
    uri, _ = pushed(scene)
    page = f"{scene.stage.issuer}/oauth/authorize?client_id={quote(client)}&request_uri="
    answers = [scene.http.get(page + quote(each)) for each in (uri, uri[:-43] + "A" * 43, "urn:x", "https://x.example")]
    assert {each.status_code for each in answers} == {400}
    assert all("location" not in each.headers and uri not in each.text for each in answers)


def test_the_command_says_in_a_line_what_is_wrong(scene: Scene) -> None:
    unknown = "urn:ietf:params:oauth:request_uri:" + "A" * 43
    run = xyd("sandbox", "decide", "--dir", scene.stage.folder, "--request-uri", unknown)
    assert run.code != 0 and run.crash is None and 0 < len(run.err.splitlines()) <= 5, run.crash
    run = xyd("sandbox", "decide", "--dir", scene.stage.folder / "nowhere", "--request-uri", unknown)
    assert run.code != 0 and run.crash is None and 0 < len(run.err.splitlines()) <= 5, run.crash
