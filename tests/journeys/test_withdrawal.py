"""Taking a consent back on the phone: nothing of it leaves afterwards, not even what is on its way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.actors import ASSESSMENTS, QUERIES, Scene, ask, leaf_of, problem

VAT = "tax.vat_invoice_summary"


def test_the_next_query_after_a_withdrawal_is_refused_at_every_process(scene: Scene) -> None:
    given = scene.consented()
    doors = (scene.stage.issuer, scene.framed)
    for door in doors:
        assert scene.call(given, door=door).status_code == 200
    scene.withdraw(given)
    for door in doors:
        told = problem(scene.call(given, door=door), 403, "consent.revoked")
        assert told["fault_domain"] == "consent" and told["retryable"] is False
    kinds = [each["kind"] for each in scene.entries() if each.get("grant") == given.grant_id]
    assert kinds[kinds.index("REVOKE") :] == ["REVOKE", "DENY", "DENY"]


def test_every_further_query_is_told_of_the_withdrawal_whatever_the_process_remembers(scene: Scene) -> None:
    given = scene.consented()
    assert scene.call(given).status_code == 200
    scene.withdraw(given)
    for door in (scene.stage.issuer, scene.stage.issuer, scene.framed, scene.framed):
        problem(scene.call(given, door=door), 403, "consent.revoked")
        problem(scene.call(given, door=door, path=ASSESSMENTS), 403, "consent.revoked")
    time.sleep(1.1)  # the third process counts what this bank did at the others in the same second
    problem(scene.call(given, door=scene.narrow), 403, "consent.revoked")


def test_a_kept_answer_does_not_leave_again_after_the_withdrawal(scene: Scene, door: str) -> None:
    given = scene.consented()
    key = {"Idempotency-Key": "kept-answer-" + given.grant_id}
    assert scene.call(given, door=door, headers=key).status_code == 200
    scene.withdraw(given)
    for _ in range(2):
        answer = scene.call(given, door=door, headers=key)
        assert answer.status_code in (401, 403) and problem(answer, answer.status_code)["retryable"] is False
    kinds = [each["kind"] for each in scene.entries() if each.get("grant") == given.grant_id]
    assert "REL" not in kinds[kinds.index("REVOKE") :]


def test_after_a_withdrawal_no_token_is_active_and_none_is_issued(scene: Scene) -> None:
    given = scene.consented()
    assert scene.introspect(given)["active"] is True
    scene.withdraw(given)
    assert scene.introspect(given) == {"active": False}
    assert scene.introspect(given, token=given.refresh) == {"active": False}
    answer = scene.oauth(given.bank, "token", {"grant_type": "refresh_token", "refresh_token": given.refresh})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(("door", "path"), [("fast", QUERIES), ("framed", ASSESSMENTS)], indirect=["door"])
def test_a_query_in_flight_during_the_withdrawal_is_not_released(scene: Scene, door: str, path: str) -> None:
    given = scene.consented()
    before = len(scene.entries())
    scene.fault(VAT, "slow", 3.0)
    try:
        with ThreadPoolExecutor(1) as pool:
            flying = pool.submit(scene.call, given, door=door, path=path)
            until = time.monotonic() + 10
            while not any(each["kind"] == "REQ" for each in scene.entries()[before:]):
                assert time.monotonic() < until and not flying.done()
                time.sleep(0.02)
            scene.withdraw(given)
            assert not flying.done()
            answer = flying.result()
    finally:
        scene.fault(VAT, "none")
    problem(answer, 403, "consent.revoked")
    assert "records" not in answer.text and "score" not in answer.text
    mine = [each for each in scene.entries()[before:] if each.get("grant") == given.grant_id]
    assert [each["kind"] for each in mine] == ["REQ", "REVOKE", "DENY"]
    assert mine[2]["why"] == "consent.revoked" and mine[2]["req"] == mine[0]["req"]


def test_another_consent_of_the_same_firm_and_bank_lives_on(scene: Scene) -> None:
    given, other = scene.consented(), scene.consented()
    scene.withdraw(given)
    answer = scene.call(other)
    assert answer.status_code == 200 and leaf_of(answer)["grant"] == other.grant_id


def test_a_consent_withdrawn_before_its_code_is_redeemed_gives_no_token(scene: Scene) -> None:
    given = scene.consented()
    redirect, verifier = scene.signed(given.bank, ask(given.uscc))
    newest = [each for each in scene.entries() if each["kind"] == "GRANT"][-1]["grant"]
    scene.withdraw(type(given)(given.bank, given.uscc, "", "", newest, {}, ""))
    answer = given.bank.redeem(redirect, verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
