"""The consent document: it holds what it must say, and every character of it is bound by challenge and check code."""

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from consent.canonical import canonical, digest
from consent.document import (
    CHALLENGE_TAG,
    CLAUSE_VERSION,
    CLAUSES,
    TYPE,
    Agreement,
    Recipient,
    Signer,
    build,
    challenge,
    challenge_text,
    check_code,
    document_bytes,
)
from consent.purpose import template
from consent.scope import Scope
from tests.consent.agreed import CATALOGUE, FIRM, NOW, POWER, VAT, item

RECIPIENT = Recipient("bank-alpha", "示例银行", "91320500000000019N", "B0001H232050001", "0512-00000000")
SIGNER = Signer("sig_1", "张*", "legal_rep", FIRM, "示例企业三十一")
SCOPE = Scope.of([item(VAT, "uscc period tax_amount"), item(POWER, "uscc period", form="model")])
LOAN = template("LOAN_APPLICATION", CATALOGUE)
CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
Path = tuple[str | int, ...]


def drawn(now: datetime = NOW) -> dict[str, Any]:
    """A document as the phone gets it."""
    agreement = Agreement("grt_1", LOAN, SCOPE, now, now + timedelta(days=30), 3, "税易贷", "A-1", "nonce-1")
    return build(agreement, SIGNER, RECIPIENT, node="node-1", catalogue=CATALOGUE)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to every scalar in the document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path


def at(value: Any, path: Path) -> Any:
    """What stands at the end of a way."""
    for step in path:
        value = value[step]
    return value


# What the letter of authorisation must say (reference/china.md §4.4), and where this document says it.
SAID: dict[str, tuple[Path, object]] = {
    "number": (("id",), "grt_1"),
    "one-time value": (("nonce",), "nonce-1"),
    "kind and version of the document": (("type",), TYPE),
    "enterprise by code": (("grantor", "uscc"), str(FIRM)),
    "enterprise by name": (("grantor", "name"), "示例企业三十一"),
    "signer": (("signer", "ref"), "sig_1"),
    "signer's name, masked": (("signer", "name"), "张*"),
    "signer's role": (("signer", "role"), "legal_rep"),
    "node": (("node",), "node-1"),
    "recipient by name": (("recipient", "name"), "示例银行"),
    "recipient by code": (("recipient", "uscc"), "91320500000000019N"),
    "recipient's licence": (("recipient", "licence_no"), "B0001H232050001"),
    "recipient's contact": (("recipient", "contact"), "0512-00000000"),
    "recipient as registered here": (("recipient", "client_id"), "bank-alpha"),
    "product": (("product",), "税易贷"),
    "application": (("application_no",), "A-1"),
    "purpose code": (("purpose", "code"), "LOAN_APPLICATION"),
    "purpose in words": (("purpose", "statement"), LOAN.statement),
    "purpose label": (("purpose", "label"), LOAN.label),
    "purpose template": (("purpose", "template_sha256"), LOAN.sha256),
    "version of the template": (("purpose", "template_version"), LOAN.version),
    "catalogue": (("catalogue",), CATALOGUE.version),
    "how often": (("use", "max_queries"), 3),
    "once or from time to time": (("use", "fetch"), "ONETIME"),
    "valid from": (("valid_from",), "2026-11-23T08:00:00Z"),
    "valid until": (("valid_until",), "2026-12-23T08:00:00Z"),
    "no renewal by itself": (("auto_renewal",), False),
    "no onward transfer": (("onward", "transfer"), False),
    "no training of models": (("onward", "model_training"), False),
    "how long the bank keeps it": (("retention", "days"), LOAN.retention_days),
    "deletion on withdrawal": (("retention", "delete_on_withdrawal"), True),
    "what a refusal means": (("refusal",), LOAN.refusal),
    "version of the clauses": (("clauses", "version"), CLAUSE_VERSION),
    "language of the clauses": (("clauses", "lang"), "zh-CN"),
    "digest of the clauses": (("clauses", "sha256"), digest(list(CLAUSES))),
}


@pytest.mark.parametrize("what", sorted(SAID))
def test_the_document_says(what: str) -> None:
    path, expected = SAID[what]
    assert at(drawn(), path) == expected


def test_the_list_above_knows_every_member_but_the_items() -> None:
    known = {path for path, _ in SAID.values()}
    assert {path for path in leaves(drawn()) if path[0] != "items"} == known


def test_each_item_is_named_for_the_eye_and_for_the_machine() -> None:
    rows = {row["dataset"]: row for row in drawn()["items"]}
    assert list(rows) == sorted((VAT, POWER))
    for one in SCOPE:
        row, entry = rows[one.dataset], CATALOGUE.item(one.dataset)
        labels = {field.name: field.label for field in entry.fields}
        assert (row["label"], row["provider"], row["form"]) == (entry.label, entry.provider, one.form)
        assert (row["from"], row["to"]) == (str(one.period.first), str(one.period.last))
        assert row["fields"] == [{"name": name, "label": labels[name]} for name in one.fields]


def test_the_clauses_speak_of_withdrawal_transfer_refusal_and_record() -> None:
    text = "".join(CLAUSES)
    for word in ("自愿", "拒绝", "不得向第三方提供", "撤销", "留存期限", "存证"):
        assert word in text


def test_a_document_of_another_zone_states_the_same_instants() -> None:
    beijing = NOW.astimezone(timezone(timedelta(hours=8)))
    assert document_bytes(drawn(beijing)) == document_bytes(drawn())


def test_the_bytes_are_canonical_and_read_back() -> None:
    data = document_bytes(drawn())
    assert json.loads(data) == drawn() and canonical(json.loads(data)) == data


@pytest.mark.parametrize("path", list(leaves(drawn())), ids=lambda path: ".".join(map(str, path)))
def test_a_change_of_any_member_changes_challenge_and_check_code(path: Path) -> None:
    whole = drawn()
    before = document_bytes(whole)
    *way, last = path
    place, old = at(whole, tuple(way)), at(whole, path)
    others: list[Any] = [not old] if isinstance(old, bool) else [old + 1, str(old)] if isinstance(old, int) else []
    others += [old + " ", old[:-1]] if isinstance(old, str) else []
    for other in others:
        place[last] = other
        after = document_bytes(whole)
        assert challenge(after) != challenge(before) and check_code(after) != check_code(before)


@pytest.mark.parametrize("member", sorted(drawn()))
def test_a_member_left_out_or_added_changes_the_challenge(member: str) -> None:
    whole, less = drawn(), drawn()
    less.pop(member)
    assert challenge(document_bytes(less)) != challenge(document_bytes(whole))
    assert challenge(document_bytes(whole | {member + "_": ""})) != challenge(document_bytes(whole))


def test_the_order_of_items_and_fields_is_bound_too() -> None:
    whole, turned, swapped = drawn(), drawn(), copy.deepcopy(drawn())
    turned["items"].reverse()
    swapped["items"][0]["fields"].reverse()
    assert len({challenge(document_bytes(each)) for each in (whole, turned, swapped)}) == 3


def test_the_challenge_is_the_tagged_digest_of_the_bytes() -> None:
    data = document_bytes(drawn())
    expected = hashlib.sha256(b"xyd-consent-v1\n" + data).digest()
    assert CHALLENGE_TAG == "xyd-consent-v1" and challenge(data) == expected
    assert challenge(data) != hashlib.sha256(data).digest()
    assert base64.urlsafe_b64decode(challenge_text(data) + "=") == expected and "=" not in challenge_text(data)


def test_the_check_code_is_the_first_40_bits_in_letters_nobody_confuses() -> None:
    for text in (b"", b"{}", document_bytes(drawn()), *(b"%d" % number for number in range(300))):
        code = check_code(text)
        assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code)
        other = base64.b32encode(hashlib.sha256(b"xyd-consent-v1\n" + text).digest()[:5]).translate(CROCKFORD)
        assert code.replace("-", "") == other.decode()


def test_the_check_code_of_a_known_text_is_frozen() -> None:
    assert check_code(b'{"type":"urn:xyd:consent-document:1"}') == "M1R4-WV7X"
