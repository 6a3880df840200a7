"""The receipt an enterprise keeps proves itself offline, and no part of it can be changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.sandbox.decide import Phone, _browser, play
from node.journal.receipt_check import verify_receipt
from tests.phone.conftest import Sandbox

pytestmark = pytest.mark.serial


async def saved(sandbox: Sandbox) -> dict[str, Any]:
    """Sign one request and save its receipt, as the phone does."""
    uri = sandbox.push(3)
    nobody: dict[str, Any] = {"deny": False, "drop": (), "key_file": sandbox.key_file}
    played = await play(sandbox.url, sandbox.login, uri, sandbox.bank.client_id, **nobody)
    assert "code=" in played.redirect
    async with _browser(sandbox.url) as browser:
        phone = Phone(sandbox.url, browser)
        await phone.sign_in(await phone.open("/phone/switch"), sandbox.login)
        form = (await phone.open("/phone/switch")).form("/phone/switch")
        assert form is not None
        await phone.submit(form, [("enterprise", sandbox.enterprise(3))])
        grants = await browser.get("/phone/grants")
        number = grants.text.split('href="/phone/grants/grt_')[1].split('"')[0].split("/")[0]
        answer = await browser.get(f"/phone/receipts/grt_{number}/receipt.json")
        assert answer.status_code == 200
        whole: dict[str, Any] = answer.json()
        return whole


FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "more queries": lambda whole: whole["document"]["use"].update(max_queries=99),
    "another text": lambda whole: whole.update(document_text=whole["document_text"].replace("税易贷", "税难贷")),
    "another digest": lambda whole: whole.update(document_sha256="0" * 64),
    "another code": lambda whole: whole.update(check_code="0000-0000"),
    "no signature": lambda whole: whole.pop("signature"),
    "another signature": lambda whole: whole["signature"].update(signature=whole["signature"]["credential_id"]),
    "another key": lambda whole: whole["signature"].update(cose_key=whole["signature"]["cose_key"][:-2] + "00"),
    "higher assurance": lambda whole: whole.update(assurance="L4"),
    "a member more": lambda whole: whole.update(remark="x"),
}


async def test_a_saved_receipt_proves_the_consent_and_every_forgery_of_it_is_refused(sandbox: Sandbox) -> None:
    whole = await saved(sandbox)
    report = verify_receipt(json.dumps(whole), sandbox.vkey)
    assert report.ok and report.complete
    assert [check.id for check in report.checks][-2:] == ["document", "consent"]
    for name, forge in FORGERIES.items():
        forged = copy.deepcopy(whole)
        forge(forged)
        assert not verify_receipt(json.dumps(forged), sandbox.vkey).ok, name
