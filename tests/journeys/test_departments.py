"""Departments that misbehave: each leg has its own state, nothing beyond the permit leaves, the others are unharmed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from consent.period import Month
from node.clock import utc_now
from node.journal.receipt_check import verify_receipt
from tests.journeys.actors import ASSESSMENTS, Consent, Scene, ask, leaf_of, often, problem

VAT, SOCIAL, POWER = "tax.vat_invoice_summary", "social_insurance.si_contributions", "electricity.electricity_usage"
ALL = (POWER, SOCIAL, VAT)
INTRUDERS = ("legal_rep_mobile", "bank_account", "13800000000", "6222020000000000", "91000000000099999P", "2001-01")
FAILED = {
    "garbage": "INVALID_DATA", "half": "UNAVAILABLE", "other_firm": "INVALID_DATA", "nan": "INVALID_DATA",
    "huge": "INVALID_DATA", "down": "UNAVAILABLE", "reset": "UNAVAILABLE", "wrong_type": "INVALID_DATA",
    "double_member": "INVALID_DATA", "redirect": "UNAVAILABLE", "slow": "TIMEOUT", "drip": "TIMEOUT",
}  # fmt: skip
MENDED = {
    "extra_fields": "extra_fields_dropped",
    "outside_months": "outside_period_removed",
    "duplicate_rows": "duplicate_rows",
}


@pytest.fixture(scope="module")
def watched(scene: Scene) -> Consent:
    """Sixty queries of three datasets at three departments."""
    return scene.consented(details=often(scene.firm("good"), *ALL))


@pytest.fixture(scope="module")
def sound(scene: Scene, watched: Consent) -> dict[str, Any]:
    """The legs when all is well, without the moment they were fetched."""
    return legs(scene.call(watched))


@pytest.fixture
def spoilt(scene: Scene, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A dataset and how its department misbehaves, until the test is over."""
    dataset, mode = request.param
    scene.fault(dataset, mode, 6.0)
    yield dataset, mode
    scene.fault(dataset, "none")


def legs(answer: httpx.Response) -> dict[str, Any]:
    """Legs by dataset, without `fetched_at`."""
    assert answer.status_code == 200, answer.text[:400]
    found = answer.json()["data"]["legs"]
    return {leg["dataset"]: {name: value for name, value in leg.items() if name != "fetched_at"} for leg in found}


def released(answer: httpx.Response) -> set[str]:
    """The datasets of the REL entry."""
    leaf = leaf_of(answer)
    assert leaf["kind"] == "REL"
    return {each.partition(":")[0] for each in leaf["items"]}


def within(consent: Consent, leg: dict[str, Any]) -> None:
    """Nothing in a leg goes beyond what was granted."""
    item = next(each for each in consent.details["items"] if each["datatype"] == leg["dataset"])
    for row in leg["records"]:
        assert set(row) <= set(item["fields"]) | {"uscc"}
        assert item["period"]["from"] <= row["period"] <= item["period"]["to"]
        assert row.get("uscc", consent.uscc) == consent.uscc


CASES = [(dataset, mode) for mode in FAILED for dataset in ((VAT, POWER) if mode in ("garbage", "reset") else (POWER,))]


@pytest.mark.parametrize("spoilt", CASES, indirect=True, ids=lambda case: f"{case[1]}-{case[0].partition('.')[0]}")
def test_a_leg_that_fails_is_a_typed_state_and_harms_no_other(
    scene: Scene, watched: Consent, sound: dict[str, Any], spoilt: tuple[str, str]
) -> None:
    dataset, mode = spoilt
    wait = 1 if FAILED[mode] == "TIMEOUT" else 4
    began = time.monotonic()
    answer = scene.call(watched, headers={"Prefer": f"wait={wait}"})
    assert time.monotonic() - began < wait + 4
    found = legs(answer)
    assert answer.json()["data"]["status"] == "PARTIAL"
    failed = found.pop(dataset)
    assert failed["state"] == FAILED[mode] and set(failed) == {"dataset", "state", "source", "reason", "retryable"}
    assert failed["reason"].startswith("source.") and type(failed["retryable"]) is bool
    assert found == {name: leg for name, leg in sound.items() if name != dataset}
    assert released(answer) == set(ALL) - {dataset}
    assert not [word for word in INTRUDERS if word in answer.text]
    report = verify_receipt(answer.content, scene.stage.parties["log"]["vkey"])
    assert report.ok and report.complete


@pytest.mark.parametrize(
    "spoilt", [(d, m) for m in MENDED for d in ALL], indirect=True, ids=lambda c: f"{c[1]}-{c[0].partition('.')[0]}"
)
def test_an_excess_is_cut_off_counted_and_never_released(
    scene: Scene, watched: Consent, sound: dict[str, Any], spoilt: tuple[str, str]
) -> None:
    dataset, mode = spoilt
    answer = scene.call(watched)
    found = legs(answer)
    assert answer.json()["data"]["status"] == "COMPLETE"
    assert any(each.startswith(MENDED[mode] + ":") for each in found[dataset]["quality"]), found[dataset]["quality"]
    assert not [word for word in INTRUDERS if word in answer.text]
    for leg in found.values():
        within(watched, leg)
    assert {n: leg for n, leg in found.items() if n != dataset} == {n: leg for n, leg in sound.items() if n != dataset}
    if mode != "duplicate_rows":
        assert found[dataset]["records"] == sound[dataset]["records"]
    assert released(answer) == set(ALL) and verify_receipt(answer.content, scene.stage.parties["log"]["vkey"]).complete


@pytest.mark.parametrize("spoilt", [("*", "down"), ("*", "garbage"), ("*", "other_firm")], indirect=True)
def test_when_every_leg_fails_the_answer_is_failed_and_nothing_is_released(
    scene: Scene, watched: Consent, spoilt: tuple[str, str]
) -> None:
    answer = scene.call(watched)
    assert {leg["state"] for leg in legs(answer).values()} == {FAILED[spoilt[1]]}
    assert answer.json()["data"]["status"] == "FAILED"
    leaf = leaf_of(answer)
    assert (leaf["kind"], leaf["items"], leaf["n"]) == ("REL", [], 0)


def test_a_firm_a_department_does_not_know_is_no_record_and_never_an_empty_success(scene: Scene) -> None:
    thin = scene.consented(details=ask(scene.firm("thin")))
    answer = scene.call(thin)
    found = legs(answer)
    unknown = {name for name, leg in found.items() if leg["state"] == "NO_RECORD"}
    assert SOCIAL in unknown and {leg["state"] for leg in found.values()} == {"READY", "NO_RECORD"}
    assert all(found[each]["records"] == [] and found[each]["as_of"] == "" for each in unknown)
    assert answer.json()["data"]["status"] == "COMPLETE" and released(answer) == set(found)


def test_a_source_that_is_down_for_one_firm_leaves_the_others_of_the_query(scene: Scene) -> None:
    given = scene.consented(details=ask(scene.firm("water_down")))
    answer = scene.call(given)
    states = {name: leg["state"] for name, leg in legs(answer).items()}
    assert states.pop("water.water_usage") == "UNAVAILABLE" and set(states.values()) == {"READY"}
    assert released(answer) == set(states)


@pytest.mark.parametrize("spoilt", [(VAT, "down"), (VAT, "garbage")], indirect=True)
def test_an_assessment_without_its_data_names_what_is_missing_and_ends_in_the_journal(
    scene: Scene, watched: Consent, spoilt: tuple[str, str]
) -> None:
    before = len(scene.entries())
    told = problem(scene.call(watched, path=ASSESSMENTS), 422, "score.insufficient_data")
    assert told["fault_domain"] == "source" and VAT in json.dumps(told["errors"])
    assert [each["kind"] for each in scene.entries()[before:]] == ["REQ", "ABORT"]


def test_months_of_the_answer_are_the_granted_ones(scene: Scene, watched: Consent, sound: dict[str, Any]) -> None:
    now = utc_now()
    newest = Month(now.year * 12 + now.month - 1).shift(-1)
    for leg in sound.values():
        within(watched, leg)
        assert max(row["period"] for row in leg["records"]) == str(newest)
        assert len({row["period"] for row in leg["records"]}) == 6
        assert leg["provenance"].startswith(("real:", "simulated:")) and leg["as_of"] and leg["schema"]
