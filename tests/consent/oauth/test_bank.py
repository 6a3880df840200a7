"""Enrolment of banks: what a row may hold, and what the snapshot says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consent.errors import Invalid
from consent.evidence import Kind
from consent.oauth import bank
from tests.consent.oauth.people import CALLBACK, NOW, Person, key, public

GOOD = bank.Enrolment(
    client_id="bank-x",
    name="江南银行",
    org_uscc="91000000000000019G",
    licence_no="B0001",
    contact="service@bank.example",
    jwks={"keys": [public(key("ES256", "x"))]},
    alg="ES256",
    redirect_uris=(CALLBACK,),
    purposes=("LOAN_APPLICATION",),
)


def test_enrolment_gives_a_row_and_evidence_that_names_no_key_in_public() -> None:
    row, evidence = bank.enrol(GOOD, now=NOW)
    view = bank.view(row)
    assert (evidence.kind, evidence.org, evidence.public) == (Kind.BANK, "bank-x", {"act": "enrol"})
    assert view.active and view.recipient.name == "江南银行" and view.redirect_uris == (CALLBACK,)
    assert view.check_redirect_uri(CALLBACK) and not view.check_redirect_uri(CALLBACK + "/")
    assert not view.check_client_secret("") and view.get_default_redirect_uri() is None


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"client_id": "银行"}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"name": " "}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"contact": "x" * 201}, "contact"),
        ({"purposes": ()}, "purposes"),
        ({"purposes": ("MARKETING",)}, "purposes"),
        ({"alg": "RS256"}, "alg"),
        ({"jwks": {}}, "jwks"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": {"keys": [dict(key("ES256", "x").as_dict(private=True))]}}, "jwks"),
        ({"jwks": {"keys": [public(key("ES256", "x")), {"kty": "oct", "k": "AAAA"}]}}, "jwks"),
        ({"alg": "PS256"}, "jwks"),
        ({"redirect_uris": ()}, "redirect_uris"),
        ({"redirect_uris": ("http://bank.example/cb",)}, "redirect_uris"),
        ({"redirect_uris": ("http://localhost/cb",)}, "redirect_uris"),
        ({"redirect_uris": (CALLBACK + "#x",)}, "redirect_uris"),
        ({"redirect_uris": ("https://u@bank.example/cb",)}, "redirect_uris"),
        ({"redirect_uris": ("https://bank.example/cb?a='",)}, "redirect_uris"),
        ({"redirect_uris": ("https://银行.example/cb",)}, "redirect_uris"),
        ({"redirect_uris": tuple(f"https://bank.example/{n}" for n in range(17))}, "redirect_uris"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_by_member(change: dict[str, Any], member: str) -> None:
    with pytest.raises(Invalid) as caught:
        bank.enrol(replace(GOOD, **change), now=NOW)
    assert caught.value.extra == {"member": member}


def test_a_wrong_credit_code_is_refused() -> None:
    with pytest.raises(Invalid):
        bank.enrol(replace(GOOD, org_uscc="91000000000000019X"), now=NOW)


def test_the_sandbox_may_redirect_to_loopback() -> None:
    row, _ = bank.enrol(replace(GOOD, redirect_uris=("http://127.0.0.1:9000/cb",)), now=NOW, loopback=True)
    assert bank.view(row).redirect_uris == ("http://127.0.0.1:9000/cb",)


def test_parsed_keys_are_kept_by_text(alpha: Person) -> None:
    assert alpha.view.keys is alpha.view.keys
