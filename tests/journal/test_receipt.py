"""A receipt proves one answer, offline; anything bent in it is found at its step."""

import json
from typing import Any

import pytest

from consent.canonical import canonical
from consent.canonical import digest as canonical_digest
from node.journal.checkpoint import sign_checkpoint
from node.journal.frontier import Frontier
from node.journal.leaf import DATA_DIGEST, commitment
from node.journal.merkle import leaf_hash
from node.journal.note import b64encode
from node.journal.receipt_check import verify_receipt
from tests.journal.sample import OTHER, SIGNER, Story

STEPS = ["shape", "checkpoint", "inclusion", "leaf", "opening", "data"]
DATA: dict[str, Any] = {
    "query_id": "qry_1",
    "status": "COMPLETE",
    "legs": [
        {"dataset": "tax.vat_invoice_summary", "records": [{"period": "2026-01", "amount": "12.30", "名称": "甲"}]}
    ],
}
DETAILS: dict[str, Any] = {DATA_DIGEST: canonical_digest(DATA), "enterprise": "91000000000000019G", "n": 1}
SALT = bytes(range(32))


def receipt_of(details: dict[str, Any], signer: Any = SIGNER) -> dict[str, Any]:
    """What the appender hands out for a release in the middle of a batch."""
    story = Story()
    story.grant()
    story.ask()
    index = story.release(d=commitment(SALT, canonical(details)))
    story.ask("qry_2")
    story.abort("qry_2")
    before = Frontier().append([leaf_hash(entry) for entry in story.entries[:2]]).after
    batch = before.append([leaf_hash(entry) for entry in story.entries[2:]])
    return {
        "log": signer.name,
        "index": index,
        "size": batch.after.size,
        "leaf": b64encode(story.entries[index]),
        "path": [b64encode(value) for value in batch.paths[index - batch.first]],
        "checkpoint": sign_checkpoint(signer, batch.after.size, batch.after.root),
        "opening": {"salt": SALT.hex(), "details": details},
    }


RECEIPT = receipt_of(DETAILS)


def verdicts(answer: Any) -> dict[str, bool | None]:
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    report = verify_receipt(text, SIGNER.vkey)
    assert [check.id for check in report.checks] == STEPS
    assert all(check.zh and check.en for check in report.checks)
    assert report.ok == (not any(check.ok is False for check in report.checks))
    return {check.id: check.ok for check in report.checks}


def failed(answer: Any) -> set[str]:
    return {name for name, ok in verdicts(answer).items() if ok is False}


def bent(**members: Any) -> dict[str, Any]:
    return {"data": DATA, "receipt": {**RECEIPT, **members}}


def test_a_true_answer_passes_every_step() -> None:
    assert verdicts({"data": DATA, "receipt": RECEIPT}) == dict.fromkeys(STEPS, True)
    report = verify_receipt(json.dumps({"data": DATA, "receipt": RECEIPT}).encode(), SIGNER.vkey)
    assert report.ok and report.complete and report.leaf is not None and report.checkpoint is not None


def test_a_bare_receipt_says_that_the_data_was_not_checked() -> None:
    for answer in (RECEIPT, {"receipt": RECEIPT}):
        assert verdicts(answer) == {**dict.fromkeys(STEPS, True), "data": None}


def test_changed_data_is_found() -> None:
    bad: list[Any] = [{**DATA, "status": "PARTIAL"}, {}, [], None, "x", {**DATA, "extra": 1}, {**DATA, "score": 1.5}]
    for data in bad:
        assert failed({"data": data, "receipt": RECEIPT}) == {"data"}


def test_another_opening_is_found() -> None:
    details = {**DETAILS, "n": 2}
    assert failed(bent(opening={"salt": SALT.hex(), "details": details})) == {"opening"}
    assert failed(bent(opening={"salt": "00" * 32, "details": DETAILS})) == {"opening"}
    assert failed(bent(opening={"salt": "00", "details": DETAILS})) == {"opening"}
    assert failed(bent(opening={"salt": SALT.hex(), "details": {**DETAILS, "x": 0.5}})) == {"opening"}


def test_a_member_named_twice_is_found() -> None:
    text = json.dumps({"data": DATA, "receipt": RECEIPT}, ensure_ascii=False)
    for twice in (text.replace("{", '{"data": {}, ', 1), text.replace('"index":', '"index": 0, "index":')):
        assert verdicts(twice)["shape"] is False


def test_data_nested_beyond_reason_is_found() -> None:
    deep = "[" * 800 + "]" * 800
    answer = json.dumps({"data": 7, "receipt": RECEIPT}).replace('"data": 7', f'"data": {deep}')
    assert failed(answer) == {"data"}


def test_details_without_the_digest_prove_no_data() -> None:
    receipt = receipt_of({"n": 1})
    assert failed({"data": DATA, "receipt": receipt}) == {"data"}


def test_another_place_or_leaf_or_path_is_found() -> None:
    path, index, size = RECEIPT["path"], RECEIPT["index"], RECEIPT["size"]
    bad: list[dict[str, Any]] = [
        {"index": index + 1},
        {"index": -1},
        {"size": size + 1},
        {"index": size},
        {"log": "other.example/log"},
        *({"path": other} for other in (path[:-1], [*path, path[0]], path[::-1], [], [*path[:-1], "AAAA"], path * 30)),
    ]
    for members in bad:
        assert failed(bent(**members)) == {"inclusion"}
    leaf = b64encode(b'{"not":"a leaf"}')
    assert failed(bent(leaf=leaf)) == {"inclusion", "leaf"}


def test_another_logs_signature_is_found() -> None:
    for note in (receipt_of(DETAILS, OTHER)["checkpoint"], "", RECEIPT["checkpoint"] + "x", RECEIPT["checkpoint"][:-2]):
        assert verdicts(bent(checkpoint=note)) == {"shape": True, "checkpoint": False, **dict.fromkeys(STEPS[2:])}


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "null", "{", '"x"', '{"receipt":{}}', '{"receipt":[]}', '{"receipt":{},"receipt":{}}', "{}",
     *[json.dumps({"receipt": {k: v for k, v in RECEIPT.items() if k != name}}) for name in RECEIPT],
     *[json.dumps(bent(**{name: 7 if isinstance(RECEIPT[name], str) else "7"})) for name in RECEIPT],
     json.dumps(bent(extra=1)), json.dumps(bent(index=True)), json.dumps(bent(index=3.0)), json.dumps(bent(path=[1])),
     json.dumps(bent(leaf="!!")), json.dumps(bent(path=["é"])), json.dumps(bent(opening={"salt": "zz", "details": {}})),
     json.dumps(bent(opening={"salt": "00", "details": []})), json.dumps(bent(opening={"salt": "00"})), "[" * 100_000],
)  # fmt: skip
def test_what_is_no_receipt_is_refused(answer: str) -> None:
    assert verdicts(answer) == {"shape": False, **dict.fromkeys(STEPS[1:])}
