"""The bank's data door over a socket: who may pass, with which proof, how often; through the framework and ahead of
it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from consent import catalogue
from consent.enterprise import issue_fictitious
from consent.evidence import Evidence, Kind
from consent.oauth.token import born
from node.cli_run import with_enrol
from node.clock import to_ms, utc_now
from node.database import Reader, make_engine
from node.flows.enrol import Enrol
from node.flows.loading import Loader
from node.journal.act import Act, Insert
from node.journal.receipt_check import verify_receipt
from node.lookups import rows_of
from node.settings import load
from tests.journeys.actors import (
    ASSESSMENTS,
    SENTINEL,
    Consent,
    Scene,
    ask,
    leaf_of,
    often,
    problem,
    proof,
    sent_data,
)  # fmt: skip

VAT, SOCIAL = "tax.vat_invoice_summary", "social_insurance.si_contributions"


def bare(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """An answer without what differs by design: the interaction id and the day."""
    body = {name: value for name, value in answer.json().items() if name not in ("interaction_id", "instance")}
    kept = {name: value for name, value in answer.headers.items() if name not in ("x-interaction-id", "date")}
    return answer.status_code, body, kept


@pytest.fixture(scope="module")
def monthly(scene: Scene) -> Consent:
    """A consent with sixty queries."""
    return scene.consented(details=often(scene.firm("good"), VAT, SOCIAL))


@pytest.fixture(scope="module")
def narrow_grant(scene: Scene) -> Consent:
    """A consent over three fields and six months of one dataset."""
    months = {"from": "2026-01", "to": "2026-06"}
    item = {"datatype": VAT, "required": True, "fields": ["period", "direction", "invoice_count"], "period": months}
    return scene.consented(details=ask(scene.firm("good"), items=[item]))


def test_unknown_firm_foreign_firm_and_no_consent_answer_alike(scene: Scene, consent: Consent, door: str) -> None:
    theirs = scene.consented(scene.banks[1], details=ask(scene.firm("arrears")))
    mine = scene.consented(details=ask(scene.firm("water_down")))
    firms = [str(issue_fictitious(77_777_777)), scene.firm("thin"), theirs.uscc, mine.uscc]
    scene.trail.learn(*firms)
    answers = [scene.call(consent, consent.body | {"subject": {"uscc": firm}}, door=door) for firm in firms]
    assert problem(answers[0], 404, "resource.unknown")["fault_domain"] == "caller"
    assert [bare(answer) for answer in answers] == [bare(answers[0])] * 4


@pytest.mark.parametrize(
    "item",
    [
        {"dataset": VAT, "fields": ["period", "amount_total"]},
        {"dataset": VAT, "fields": ["period", "no_such_field"]},
        {"dataset": VAT, "period": {"from": "2025-12", "to": "2026-06"}},
        {"dataset": VAT, "period": {"from": "2026-01", "to": "2026-07"}},
        {"dataset": VAT, "period": {"from": "2001-01", "to": "2030-12"}},
        {"dataset": SOCIAL},
        {"dataset": "water.water_usage", "period": {"from": "2026-01", "to": "2026-06"}},
        {"dataset": "no.such_dataset"},
    ],
)
def test_more_than_the_grant_is_refused_and_journaled(
    scene: Scene, narrow_grant: Consent, door: str, item: dict[str, Any]
) -> None:
    before = len(scene.entries())
    told = problem(scene.call(narrow_grant, narrow_grant.body | {"items": [item]}, door=door), 403, "consent.scope")
    assert told["fault_domain"] == "consent" and told["errors"][0]["limit"] == item["dataset"]
    new = scene.entries()[before:]
    assert [(each["kind"], each["why"]) for each in new] == [("DENY", "consent.scope")]


def test_less_than_the_grant_is_given_exactly(scene: Scene, narrow_grant: Consent) -> None:
    item = {"dataset": VAT, "fields": ["invoice_count", "period"], "period": {"from": "2026-02", "to": "2026-04"}}
    answer = scene.call(narrow_grant, narrow_grant.body | {"items": [item]})
    assert answer.status_code == 200, answer.text
    (leg,) = answer.json()["data"]["legs"]
    assert {each["period"] for each in leg["records"]} == {"2026-02", "2026-03", "2026-04"}
    assert {name for each in leg["records"] for name in each} == {"period", "invoice_count"}


def test_another_purpose_is_refused(scene: Scene, consent: Consent, door: str) -> None:
    for purpose in ("POST_LOAN", "NO_SUCH_PURPOSE", "loan_application"):
        told = problem(scene.call(consent, consent.body | {"purpose": purpose}, door=door), 403, "consent.purpose")
        assert told["fault_domain"] == "consent" and told["retryable"] is False


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "DPoP",
        "Bearer {}",
        "Basic eDp5",
        "DPoP {}x",
        "DPoP xat_" + "A" * 43,
        "DPoP {} extra",
        "DPoP " + "x" * 5000,
        "DPoP 令牌",
        "xat_{}",
    ],
)
def test_only_a_live_dpop_token_is_accepted(
    scene: Scene, consent: Consent, door: str, authorization: str | None
) -> None:
    given = None if authorization is None else authorization.format(consent.token)
    answer = scene.call(consent, door=door, headers={"Authorization": given})
    assert problem(answer, 401, "token.invalid")["retryable"] is False
    assert answer.headers["www-authenticate"].startswith("DPoP ")


def test_expired_and_ended_and_refresh_tokens_answer_as_an_unknown_one(scene: Scene, door: str) -> None:
    good = scene.consented()
    old = expired(scene, good)
    answers = [scene.call(replace(good, token=each), door=door) for each in ("xat_" + "A" * 43, old, good.refresh)]
    assert scene.call(good, door=door).status_code == 200
    assert scene.oauth(good.bank, "revoke", {"token": good.token}).status_code == 200
    answers.append(scene.call(good, door=door))
    assert [(problem(each, 401)["code"], each.json().get("detail")) for each in answers[:2]] == [
        ("token.invalid", "the access token is not accepted: refresh it, or ask the enterprise anew")
    ] * 2
    problem(answers[2], 401, "token.invalid")
    assert bare(answers[3]) == bare(answers[0])


def expired(scene: Scene, good: Consent) -> str:
    """An access token of the same grant whose time is over."""
    value = ""

    async def work(enrol: Enrol) -> None:
        nonlocal value
        long_ago = to_ms(utc_now()) - 301_000
        settings = load(scene.stage.config)
        engine = make_engine(settings.database)
        loader = Loader(Reader(engine), rows_of(settings.database), catalogue.load())
        grant = await loader.fresh_grant(good.grant_id)
        await loader.close()
        await engine.dispose()
        assert grant is not None
        value, row = born("access", grant, jkt=good.bank.key.thumbprint(), items="", now_ms=long_ago)
        public = {"grant": grant.id, "ver": grant.version, "exp": row.expires_ms}
        token = Evidence(Kind.TOKEN, grant.client_id, grant.enterprise, public)
        await enrol.appender.append(Act((token,), (), (Insert(row),)))

    asyncio.run(with_enrol(load(scene.stage.config), work))
    scene.trail.learn(value)
    return value


def test_a_stolen_token_is_worthless_without_its_key(scene: Scene, consent: Consent, door: str) -> None:
    thief = replace(consent, bank=scene.banks[1])
    problem(scene.call(thief, door=door), 401, "token.invalid")


def unsigned(consent: Consent, **head: Any) -> str:
    """The honest proof's claims under another head, with no signature."""
    claims = proof(consent).split(".")[1]
    told = urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    return f"{told}.{claims}."


WRONG_PROOFS: dict[str, Any] = {
    "none": lambda c: None,
    "empty": lambda c: "",
    "garbage": lambda c: "a.b.c",
    "not ascii": lambda c: "证明.证明.证明",
    "long": lambda c: "A" * 40_000,
    "two headers": lambda c: [proof(c), proof(c)],
    "two in one header": lambda c: f"{proof(c)}, {proof(c)}",
    "verb": lambda c: proof(c, htm="GET"),
    "verb in small letters": lambda c: proof(c, htm="post"),
    "no verb": lambda c: proof(c, htm=None),
    "path": lambda c: proof(c, htu=c.bank.issuer + ASSESSMENTS),
    "host": lambda c: proof(c, htu="http://127.0.0.1:1/v1/queries"),
    "other issuer": lambda c: proof(c, htu="https://elsewhere.example/v1/queries"),
    "no address": lambda c: proof(c, htu=None),
    "address is a list": lambda c: proof(c, htu=[c.bank.issuer + "/v1/queries"]),
    "other token": lambda c: proof(c, ath="A" * 43),
    "no token": lambda c: proof(c, ath=None),
    "old": lambda c: proof(c, iat=int(utc_now().timestamp()) - 3600),
    "early": lambda c: proof(c, iat=int(utc_now().timestamp()) + 3600),
    "time is text": lambda c: proof(c, iat="now"),
    "time is true": lambda c: proof(c, iat=True),
    "time without end": lambda c: proof(c, iat=10**400),
    "no time": lambda c: proof(c, iat=None),
    "no identity": lambda c: proof(c, jti=None),
    "identity is empty": lambda c: proof(c, jti=""),
    "identity is a number": lambda c: proof(c, jti=7),
    "identity is long": lambda c: proof(c, jti="x" * 20_000),
    "type": lambda c: proof(c, head={"typ": "JWT"}),
    "private key shown": lambda c: proof(c, head={"jwk": c.bank.key.as_dict(private=True)}),
    "no key": lambda c: unsigned(c, typ="dpop+jwt", alg="ES256"),
    "unsigned": lambda c: unsigned(c, typ="dpop+jwt", alg="none", jwk=c.bank.key.as_dict(private=False)),
    "symmetric": lambda c: unsigned(c, typ="dpop+jwt", alg="HS256", jwk={"kty": "oct", "k": "AAAA"}),
    "critical": lambda c: proof(c, head={"crit": ["b64"], "b64": False}),
    "tampered": lambda c: proof(c)[:-8] + "AAAAAAAA",
    "another key": lambda c: proof(replace(c, bank=replace(c.bank, key=ECKey.generate_key("P-256")))),
}


@pytest.mark.parametrize("wrong", WRONG_PROOFS)
def test_a_wrong_proof_opens_nothing(scene: Scene, consent: Consent, door: str, wrong: str) -> None:
    answer = scene.call(consent, door=door, headers={"DPoP": WRONG_PROOFS[wrong](consent)})
    problem(answer, 401, "token.invalid")
    assert answer.headers["www-authenticate"].startswith("DPoP ")


def test_a_proof_is_accepted_once_whichever_process_it_comes_to(scene: Scene, monthly: Consent) -> None:
    once = proof(monthly)
    assert scene.call(monthly, headers={"DPoP": once}).status_code == 200
    for door in (scene.stage.issuer, scene.framed):
        problem(scene.call(monthly, door=door, headers={"DPoP": once}), 401, "token.invalid")


def test_a_fresh_proof_in_other_spellings_of_the_address_is_the_same_address(scene: Scene, monthly: Consent) -> None:
    same = monthly.bank.issuer.replace("http://localhost", "HTTP://LOCALHOST") + "/v1/queries?a=1#b"
    assert scene.call(monthly, headers={"DPoP": proof(monthly, htu=same)}).status_code == 200


@pytest.mark.parametrize("key", [None, "", "x" * 65, "键" * 8, "a b", "a\tb", b"\xff\xfe"])
def test_a_query_without_a_usable_key_is_refused(scene: Scene, consent: Consent, door: str, key: Any) -> None:
    problem(scene.call(consent, door=door, headers={"Idempotency-Key": key}), 400, "idempotency.key_missing")


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "Content-Type"])
def test_a_header_that_may_stand_once_is_refused_twice(scene: Scene, consent: Consent, door: str, name: str) -> None:
    once = {"Idempotency-Key": "k", "Authorization": f"DPoP {consent.token}", "Content-Type": "application/json"}[name]
    problem(scene.call(consent, door=door, headers={name: [once, once]}), 400, "request.invalid")


@pytest.mark.parametrize("path", ["/v1/queries", ASSESSMENTS])
def test_same_key_and_body_give_the_same_data_with_an_entry_of_its_own(scene: Scene, door: str, path: str) -> None:
    given, key, vkey = scene.consented(), secrets.token_urlsafe(9), scene.stage.parties["log"]["vkey"]
    doors = (door, scene.framed, scene.stage.issuer)
    told = [
        scene.call(given, door=each, path=path, headers={"Idempotency-Key": key, "DPoP": proof(given, path)})
        for each in doors
    ]
    assert [each.status_code for each in told] == [200] * 3, told[-1].text
    assert {sent_data(each) for each in told} == {sent_data(told[0])}
    for each in told:
        report = verify_receipt(each.content, vkey)
        assert report.ok and report.complete
    first = told[0].json()["receipt"]["index"]
    assert len({each.json()["receipt"]["index"] for each in told}) == 3
    if path == "/v1/queries":
        assert [leaf_of(each)["retry_of"] for each in told] == ["", str(first), str(first)]
    mine = [each for each in scene.entries() if each.get("grant") == given.grant_id]
    assert [each["kind"] for each in mine].count("REQ") == 1


def test_same_key_for_another_body_or_door_is_refused(scene: Scene, monthly: Consent, door: str) -> None:
    key = {"Idempotency-Key": secrets.token_urlsafe(9)}
    assert scene.call(monthly, door=door, headers=key).status_code == 200
    other = monthly.body | {"items": [{"dataset": VAT}]}
    problem(scene.call(monthly, other, door=door, headers=key), 422, "idempotency.body_mismatch")
    reordered = json.dumps(dict(reversed(monthly.body.items()))).encode()
    problem(scene.call(monthly, reordered, door=door, headers=key), 422, "idempotency.body_mismatch")
    answer = scene.call(monthly, door=door, path=ASSESSMENTS, headers=key)
    problem(answer, 422, "idempotency.body_mismatch")


def test_a_key_belongs_to_one_bank(scene: Scene, monthly: Consent) -> None:
    key = {"Idempotency-Key": secrets.token_urlsafe(9)}
    assert scene.call(monthly, headers=key).status_code == 200
    other = scene.consented(scene.banks[1], details=often(monthly.uscc, VAT))
    answer = scene.call(other, headers=key)
    assert answer.status_code == 200 and answer.json()["data"]["grant_id"] == other.grant_id


def test_the_same_key_in_flight_is_told_to_come_again(scene: Scene, monthly: Consent, door: str) -> None:
    key = {"Idempotency-Key": secrets.token_urlsafe(9)}
    before = len(scene.entries())
    scene.fault(VAT, "slow", 2.0)
    try:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(scene.call, monthly, door=door, headers=key)
            wait_for(lambda: any(each["kind"] == "REQ" for each in scene.entries()[before:]))
            told = problem(scene.call(monthly, door=scene.framed, headers=key), 409, "idempotency.in_progress")
            assert told["retryable"] is True
            assert first.result().status_code == 200
    finally:
        scene.fault(VAT, "none")
    again = scene.call(monthly, door=door, headers=key)
    assert again.status_code == 200 and sent_data(again) == sent_data(first.result())


def wait_for(truth: Any, seconds: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


def test_a_used_up_consent_refuses_new_queries_and_still_repeats_old_answers(scene: Scene, door: str) -> None:
    given = scene.consented(details=ask(scene.firm("good"), use={"max_queries": 2}))
    keys = [{"Idempotency-Key": secrets.token_urlsafe(9)} for _ in range(3)]
    first, second = (scene.call(given, door=door, headers=key) for key in keys[:2])
    assert (first.status_code, second.status_code) == (200, 200)
    told = problem(scene.call(given, door=door, headers=keys[2]), 403, "consent.consumed")
    assert told["fault_domain"] == "consent"
    again = scene.call(given, door=door, headers=keys[0])
    assert again.status_code == 200 and sent_data(again) == sent_data(first)
    problem(scene.call(given, door=door, headers=keys[2]), 403, "consent.consumed")


def test_many_at_once_never_pass_more_often_than_agreed(scene: Scene) -> None:
    given = scene.consented()
    doors = [scene.stage.issuer, scene.framed] * 6
    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(lambda door: scene.call(given, door=door).status_code, doors))
    assert sorted(told) == [200] * 3 + [403] * 9
    kinds = [each["kind"] for each in scene.entries() if each.get("grant") == given.grant_id]
    assert (kinds.count("REQ"), kinds.count("REL")) == (3, 3)


def test_prefer_wait_bounds_the_answer_and_is_told_back(scene: Scene, monthly: Consent, door: str) -> None:
    scene.fault(VAT, "slow", 8)
    try:
        began = time.monotonic()
        answer = scene.call(monthly, door=door, headers={"Prefer": "respond-async, wait=1"})
        assert time.monotonic() - began < 6
    finally:
        scene.fault(VAT, "none")
    assert answer.status_code == 200 and answer.headers["preference-applied"] == "wait=1"
    data = answer.json()["data"]
    assert (data["status"], {leg["dataset"]: leg["state"] for leg in data["legs"]}) == (
        "PARTIAL", {VAT: "TIMEOUT", SOCIAL: "READY"},
    )  # fmt: skip


@pytest.mark.parametrize("prefer", [None, "", "wait", "wait=", "wait=-1", "wait=x", "wait=1e9", "等待=1", "wait=99999"])
def test_a_preference_nobody_understands_is_ignored(scene: Scene, monthly: Consent, prefer: str | None) -> None:
    answer = scene.call(monthly, headers={"Prefer": prefer})
    assert answer.status_code == 200 and "preference-applied" not in answer.headers


@pytest.mark.parametrize("given", ["Abc.def-1_2", "x" * 64])
def test_the_interaction_id_is_echoed(scene: Scene, consent: Consent, door: str, given: str) -> None:
    answer = scene.call(
        consent, consent.body | {"purpose": "POST_LOAN"}, door=door, headers={"X-Interaction-Id": given}
    )
    assert problem(answer, 403)["interaction_id"] == given


@pytest.mark.parametrize("given", ["short", "x" * 65, f"{SENTINEL}{SENTINEL}", 'a"b<script>x', "a b c d e f"])
def test_an_unfit_interaction_id_is_replaced(scene: Scene, consent: Consent, door: str, given: str) -> None:
    answer = scene.call(
        consent, consent.body | {"purpose": "POST_LOAN"}, door=door, headers={"X-Interaction-Id": given}
    )
    assert len(problem(answer, 403)["interaction_id"]) == 36


def test_an_interaction_id_is_on_good_answers_too(scene: Scene, monthly: Consent, door: str) -> None:
    answer = scene.call(monthly, door=door, headers={"X-Interaction-Id": "interaction-of-mine"})
    assert answer.headers["x-interaction-id"] == "interaction-of-mine"


def test_a_bank_that_comes_too_often_is_told_when_to_return_and_others_are_served(
    scene: Scene, consent: Consent
) -> None:
    wrong = consent.body | {"purpose": "POST_LOAN"}
    other = scene.consented(scene.banks[1])
    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(lambda _: scene.call(consent, wrong, door=scene.narrow), range(24)))
        served = scene.call(other, other.body | {"purpose": "POST_LOAN"}, door=scene.narrow)
    refused = [each for each in told if each.status_code == 429]
    assert refused and {each.status_code for each in told} <= {403, 429}
    for each in refused:
        document = problem(each, 429, "quota.bank")
        assert document["retryable"] is True and document["fault_domain"] == "policy"
        assert document["errors"][0]["max"] == 3
        assert int(each.headers["retry-after"]) >= 1 and document["retry_after_ms"] >= 1
    problem(served, 403, "consent.purpose")
    time.sleep(1.1)
    problem(scene.call(consent, wrong, door=scene.narrow), 403, "consent.purpose")
