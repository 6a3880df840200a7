"""The phone's doors over HTTP against a whole node: what they give, what they refuse, what they never leak."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deploy.sandbox.authenticator import Authenticator
from deploy.sandbox.decide import TAG, Phone, PhoneError, play, withdraw
from deploy.sandbox.page_reading import ReadForm, ReadPage, read
from node.journal.receipt_check import verify_receipt
from tests.phone.conftest import Sandbox

pytestmark = pytest.mark.serial
HTML = "text/html; charset=utf-8"
AtSign = tuple[dict[str, str], dict[str, Any], Authenticator]


@pytest.fixture
async def phone(sandbox: Sandbox) -> AsyncIterator[Phone]:
    """A browser nobody is signed in with."""
    async with httpx.AsyncClient(base_url=sandbox.url, headers={"Origin": sandbox.url}, trust_env=False) as client:
        yield Phone(sandbox.url, client)


async def to_review(phone: Phone, sandbox: Sandbox, number: int = 1) -> tuple[ReadPage, ReadForm]:
    """Signed in, at a fresh request's review."""
    page = await phone.sign_in(await phone.open(sandbox.authorize(sandbox.push(number))), sandbox.login)
    form = page.form("/phone/requests/")
    assert form is not None
    return page, form


async def to_sign(phone: Phone, sandbox: Sandbox, number: int = 1) -> AtSign:
    """At the sign page, the device registered: its data, the ceremony, the authenticator."""
    _, form = await to_review(phone, sandbox, number)
    days = [pair for pair in form.chosen if pair[0] == "days"]
    page = await phone.follow(await phone.submit(form, [*days, ("declare", "yes")]))
    data = page.data("sign")
    ceremony = json.loads(data["data-ceremony"])
    device = Authenticator.load(sandbox.key_file)
    if not ceremony["credential"]:
        answer = await send(phone, data, "passkey", device.create(ceremony, sandbox.url))
        assert answer.status_code == 200, answer.text
        ceremony["credential"] = answer.json()["credential"]
    return data, ceremony, device


async def send(phone: Phone, data: dict[str, str], name: str, body: dict[str, Any]) -> httpx.Response:
    """What the page's script sends."""
    headers = {"Content-Type": "application/json", "X-CSRF": data["data-csrf"]}
    return await phone.client.post(f"{data['data-address']}/{name}", content=json.dumps(body), headers=headers)


async def challenge(phone: Phone, data: dict[str, str]) -> bytes:
    """The hash of the fetched document."""
    document = (await phone.client.get(f"{data['data-address']}/document")).content
    return hashlib.sha256(TAG + document).digest()


async def test_a_yes_returns_code_state_and_issuer(sandbox: Sandbox) -> None:
    request_uri = sandbox.push()
    played = await play(sandbox.url, sandbox.login, request_uri, sandbox.bank.client_id, key_file=sandbox.key_file)
    assert played.redirect.startswith(sandbox.bank.redirect_uri + "?")
    answer = parse_qs(urlsplit(played.redirect).query)
    assert set(answer) == {"code", "state", "iss"} and answer["iss"] == [sandbox.url]
    assert sandbox.key_file.stat().st_mode & 0o777 == 0o600
    review = played.screens[1]
    assert sandbox.bank.name in review and "必需信息 2 类" in review and "可选信息 2 类" in review


async def test_a_dropped_item_is_not_granted(sandbox: Sandbox) -> None:
    drop = ("water.water_usage",)
    request_uri = sandbox.push()
    played = await play(
        sandbox.url, sandbox.login, request_uri, sandbox.bank.client_id, drop=drop, key_file=sandbox.key_file
    )
    assert "提供的信息 3 类" in played.screens[2] and "用水" not in played.screens[3]


async def test_a_no_returns_access_denied_and_ends_the_request(sandbox: Sandbox, phone: Phone) -> None:
    request_uri = sandbox.push()
    played = await play(
        sandbox.url, sandbox.login, request_uri, sandbox.bank.client_id, deny=True, key_file=sandbox.key_file
    )
    answer = parse_qs(urlsplit(played.redirect).query)
    assert answer["error"] == ["access_denied"] and answer["iss"] == [sandbox.url] and answer["state"]
    again = await phone.client.get(sandbox.authorize(request_uri))
    assert again.status_code == 409 and "location" not in again.headers


async def test_a_request_may_be_visited_again_until_it_is_decided(sandbox: Sandbox, phone: Phone) -> None:
    address = sandbox.authorize(sandbox.push())
    first = await phone.client.get(address)
    second = await phone.client.get(address + "&scope=everything&state=x&redirect_uri=https://evil.example")
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]


@pytest.mark.parametrize(
    "query",
    [
        "client_id={bank}&request_uri=urn:ietf:params:oauth:request_uri:" + "x" * 43,
        "client_id=bank-linhai&request_uri={uri}",
        "client_id=nobody&request_uri={uri}",
        "request_uri={uri}",
        "client_id={bank}&response_type=code&redirect_uri=https://evil.example",
        "",
    ],
)
async def test_a_bad_request_is_a_page_and_never_a_redirect(sandbox: Sandbox, phone: Phone, query: str) -> None:
    uri = sandbox.push()
    answer = await phone.client.get("/oauth/authorize?" + query.format(bank=sandbox.bank.client_id, uri=uri))
    assert answer.status_code == 400 and answer.headers["content-type"] == HTML
    assert "location" not in answer.headers and "evil.example" not in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_a_form_of_another_origin_is_refused(sandbox: Sandbox, phone: Phone, origin: str) -> None:
    _, form = await to_review(phone, sandbox)
    phone.client.headers["Origin"] = origin
    answer = await phone.submit(form, [], form.action + "/refuse")
    assert answer.status_code == 403 and "location" not in answer.headers


async def test_a_form_without_its_token_is_refused(sandbox: Sandbox, phone: Phone) -> None:
    _, form = await to_review(phone, sandbox)
    form.hidden = [("csrf", "0" * 64)]
    assert (await phone.submit(form, [], form.action + "/refuse")).status_code == 403


async def test_an_incomplete_form_comes_back_with_its_reason(sandbox: Sandbox, phone: Phone) -> None:
    _, form = await to_review(phone, sandbox)
    answer = await phone.submit(form, [("days", "30"), ("optional", "water.water_usage")])
    assert answer.status_code == 400 and "请确认您有权代表公司作出授权" in answer.text
    assert 'value="water.water_usage" checked' in answer.text


async def test_a_signature_without_user_verification_grants_nothing(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox)
    device.verified = False
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    answer = await send(phone, data, "signature", made)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature.invalid")


async def test_a_signature_over_an_altered_document_grants_nothing(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox)
    document = (await phone.client.get(f"{data['data-address']}/document")).content
    altered = hashlib.sha256(TAG + document.replace(b'"max_queries":3', b'"max_queries":9')).digest()
    answer = await send(phone, data, "signature", device.get(ceremony, altered, sandbox.url))
    assert (answer.status_code, answer.json()["code"]) == (400, "signature.invalid")


async def test_a_signature_is_good_for_one_consent_only(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox)
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    assert (await send(phone, data, "signature", made)).status_code == 200
    assert (await send(phone, data, "signature", made)).status_code == 409
    other, _, _ = await to_sign(phone, sandbox)
    answer = await send(phone, other, "signature", made)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature.invalid")


async def test_a_second_device_cannot_be_slipped_in(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, _ = await to_sign(phone, sandbox)
    stranger = Authenticator().create(ceremony, sandbox.url)
    assert (await send(phone, data, "passkey", stranger)).status_code in (400, 409)


async def test_the_way_back_is_open_once(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox)
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    page = await phone.open((await send(phone, data, "signature", made)).json()["next"])
    form = page.form("/phone/receipts/")
    assert form is not None
    assert (await phone.submit(form, [])).status_code == 303
    assert (await phone.submit(form, [])).status_code == 400
    again = await phone.open(form.action.removesuffix("/return"))
    assert again.form("/phone/receipts/") is None


async def test_withdrawing_ends_the_grant_at_once_and_twice_is_no_error(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox, 2)
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    grant_id = (await send(phone, data, "signature", made)).json()["next"].rsplit("/", 1)[1]
    shown = await withdraw(sandbox.url, sandbox.login, sandbox.enterprise(2), grant_id)
    assert "授权已撤销" in shown[-1] and "存证第" in shown[-1]
    with pytest.raises(PhoneError, match="nothing to withdraw: 授权已撤销"):
        await withdraw(sandbox.url, sandbox.login, sandbox.enterprise(2), grant_id)
    ended = await phone.open("/phone/grants?tab=ended")
    assert "已撤销" in ended.summary
    back = await phone.client.get(f"/phone/receipts/{grant_id}")
    location = (await phone.submit(read(back.text).forms[0], [])).headers["location"]
    assert parse_qs(urlsplit(location).query)["error"] == ["access_denied"]


async def test_the_timeline_has_every_number_and_each_entry_proves_itself(sandbox: Sandbox, phone: Phone) -> None:
    await to_review(phone, sandbox)
    answer = await phone.client.get("/phone/queries")
    assert "编号连续" in answer.text
    links = [line for line in answer.text.split('"') if line.startswith("/phone/queries/") and "?year=" in line]
    assert links
    for link in links[:6]:
        page = await phone.client.get(link)
        assert page.text.count('class="good"') >= 3 and 'class="stop"' not in page.text
        evidence = await phone.client.get(link.replace("?", "/receipt.json?"))
        assert verify_receipt(evidence.content, sandbox.vkey).ok


async def test_the_receipt_file_proves_the_consent_offline(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox)
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    path = (await send(phone, data, "signature", made)).json()["next"]
    kept = (await phone.client.get(f"{path}/receipt.json")).json()
    text = kept["document_text"].encode()
    assert hashlib.sha256(text).hexdigest() == kept["document_sha256"]
    assert json.loads(text) == kept["document"] and kept["check_code"] == data["data-code"]
    assert verify_receipt(json.dumps(kept["receipt"]), sandbox.vkey).ok


async def test_other_enterprises_things_do_not_exist(sandbox: Sandbox, phone: Phone) -> None:
    data, ceremony, device = await to_sign(phone, sandbox, 1)
    made = device.get(ceremony, await challenge(phone, data), sandbox.url)
    path = (await send(phone, data, "signature", made)).json()["next"]
    grant_id = path.rsplit("/", 1)[1]
    switch = (await phone.open("/phone/switch")).form("/phone/switch")
    assert switch is not None
    await phone.submit(switch, [("enterprise", sandbox.enterprise(3))])
    unknown = (await phone.client.get("/phone/grants/grt_" + "0" * 24)).status_code
    for address in (path, f"{path}/receipt.json", f"/phone/grants/{grant_id}", "/phone/queries/0", "/phone/queries/1"):
        assert (await phone.client.get(address)).status_code == unknown == 404


async def test_an_enterprise_without_a_mandate_cannot_be_chosen(sandbox: Sandbox, phone: Phone) -> None:
    await to_review(phone, sandbox)
    form = (await phone.open("/phone/switch")).form("/phone/switch")
    assert form is not None
    assert (await phone.submit(form, [("enterprise", "91000000000000019G")])).status_code == 404


async def test_guessing_a_passcode_is_slowed(sandbox: Sandbox, phone: Phone) -> None:
    form = (await phone.open("/phone/login")).form("/phone/login")
    assert form is not None
    codes = [
        (await phone.submit(form, [("mobile", "13900000009"), ("passcode", str(number))])).status_code
        for number in range(6)
    ]
    assert codes == [401] * 5 + [429]


async def test_signing_in_gives_a_fresh_session_and_signing_out_ends_it(sandbox: Sandbox, phone: Phone) -> None:
    await to_review(phone, sandbox)
    cookie = phone.client.cookies["xyd_session"]
    assert len(cookie) >= 43
    form = (await phone.open("/phone/")).form("/phone/logout")
    assert form is not None
    await phone.submit(form, [])
    phone.client.cookies.set("xyd_session", cookie)
    assert (await phone.client.get("/phone/grants")).headers["location"] == "/phone/login?next=/phone/grants"


async def test_a_left_over_session_does_not_keep_anyone_out(sandbox: Sandbox, phone: Phone) -> None:
    phone.client.cookies.set("xyd_session", "x" * 43)
    page = await phone.sign_in(await phone.open("/phone/login"), sandbox.login)
    assert "您好" in page.summary


@pytest.mark.parametrize("path", ["/", "/phone/login", "/phone/nothing", "/oauth/authorize"])
async def test_every_page_bears_the_policy(phone: Phone, path: str) -> None:
    answer = await phone.client.get(path)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_signing_in_leads_nowhere_else(phone: Phone) -> None:
    page = await phone.client.get("/phone/login?next=//evil.example/phone/")
    assert ("next", "/phone/") in read(page.text).forms[0].hidden


async def test_static_files_are_kept_for_ever_under_their_name(phone: Phone) -> None:
    page = await phone.client.get("/phone/login")
    name = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await phone.client.get(name)
    assert "immutable" in answer.headers["cache-control"]
    assert (await phone.client.get("/static/phone.css")).status_code == 404
