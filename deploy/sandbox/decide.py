"""Plays an enterprise's phone over HTTP: sign in, read the request, choose, sign, return; or refuse; or withdraw.

It goes through the same pages and forms as a browser, reads what they show, and does in Python what `sign.js` does: it
fetches the document, hashes the bytes itself and has the software authenticator sign that hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from deploy.sandbox.authenticator import Authenticator
from deploy.sandbox.page_reading import ReadForm, ReadPage, read
from node.cli_run import CommandFailed

TAG = b"xyd-consent-v1\n"
MAX_STEPS = 5


class PhoneError(CommandFailed):
    """The phone did not show what was expected; the message says what it showed."""


@dataclass(frozen=True, slots=True)
class Played:
    """Where the browser was sent in the end, and a summary of every screen on the way."""

    redirect: str
    screens: tuple[str, ...]


@dataclass
class Phone:
    """One browser. `screens` collects what it showed."""

    base_url: str
    client: httpx.AsyncClient
    screens: list[str] = field(default_factory=list)

    async def open(self, path: str) -> ReadPage:
        """Follow redirects within the node, then read the page. Raises PhoneError for an error page."""
        for _ in range(MAX_STEPS):
            answer = await self.client.get(path)
            if answer.status_code != 303:
                return self._page(answer)
            path = answer.headers["location"]
        raise PhoneError("too many redirects")

    async def submit(self, form: ReadForm, values: Sequence[tuple[str, str]], action: str = "") -> httpx.Response:
        """Send a form as a browser does: its hidden members, the chosen values, our Origin."""
        pairs = [*form.hidden, *values]
        body = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.client.post(action or form.action, content=body, headers=headers)

    async def follow(self, answer: httpx.Response) -> ReadPage:
        """The page a form leads to."""
        return await self.open(answer.headers["location"]) if answer.status_code == 303 else self._page(answer)

    async def sign_in(self, page: ReadPage, login: dict[str, Any]) -> ReadPage:
        """Sign in if the page asks for it."""
        form = page.form("/phone/login")
        if form is None:
            return page
        return await self.follow(
            await self.submit(form, [("mobile", login["mobile"]), ("passcode", login["passcode"])])
        )

    def _page(self, answer: httpx.Response) -> ReadPage:
        page = read(answer.text)
        self.screens.append(page.summary)
        if answer.status_code >= 400:
            raise PhoneError(f"{answer.status_code}: {page.summary}")
        return page


async def play(  # noqa: PLR0913 - the last three are choices, given by name
    base_url: str,
    login: dict[str, Any],
    request_uri: str,
    client_id: str,
    *,
    deny: bool = False,
    drop: Sequence[str] = (),
    key_file: Path,
) -> Played:
    """Decide a pushed request. `login` has mobile and passcode; `drop` names optional items to leave out.

    Every other optional item is switched on. Returns where the bank's redirect leads. Raises PhoneError and
    AuthenticatorError.
    """
    async with _browser(base_url) as client:
        phone = Phone(base_url, client)
        path = f"/oauth/authorize?client_id={quote(client_id, safe='')}&request_uri={quote(request_uri, safe='')}"
        page = await phone.sign_in(await phone.open(path), login)
        form = page.form("/phone/requests/")
        if form is None:
            raise PhoneError(f"no request to decide: {page.summary}")
        if deny:
            refused = await phone.submit(form, [], form.action + "/refuse")
            return Played(_location(refused), tuple(phone.screens))
        receipt = await _sign(phone, await _agree(phone, form, drop), key_file)
        back = receipt.form("/phone/receipts/")
        if back is None:
            raise PhoneError(f"no way back to the bank: {receipt.summary}")
        return Played(_location(await phone.submit(back, [])), tuple(phone.screens))


async def withdraw(base_url: str, login: dict[str, Any], uscc: str, grant_id: str) -> tuple[str, ...]:
    """Withdraw a grant of an enterprise; what the phone showed. Raises PhoneError."""
    async with _browser(base_url) as client:
        phone = Phone(base_url, client)
        page = await phone.sign_in(await phone.open("/phone/switch"), login)
        page = page if page.form("/phone/switch") else await phone.open("/phone/switch")
        form = page.form("/phone/switch")
        if form is None:
            raise PhoneError(f"cannot change the enterprise: {page.summary}")
        await phone.submit(form, [("enterprise", uscc)])
        page = await phone.open(f"/phone/grants/{grant_id}/withdraw")
        form = page.form(f"/phone/grants/{grant_id}/withdraw")
        if form is None:
            raise PhoneError(f"nothing to withdraw: {page.summary}")
        await phone.follow(await phone.submit(form, []))
        return tuple(phone.screens)


async def _agree(phone: Phone, form: ReadForm, drop: Sequence[str]) -> ReadPage:
    """Send the review: optional items but the dropped ones, the period as suggested, the declaration."""
    offered = [value for name, value in form.boxes if name == "optional"]
    unknown = set(drop) - set(offered)
    if unknown:
        raise PhoneError(f"not optional in this request: {', '.join(sorted(unknown))}")
    chosen = [("optional", value) for value in offered if value not in drop]
    period = [(name, value) for name, value in form.chosen if name == "days"]
    return await phone.follow(await phone.submit(form, [*chosen, *period, ("declare", "yes")]))


async def _sign(phone: Phone, page: ReadPage, key_file: Path) -> ReadPage:
    """What sign.js does: register if needed, hash the fetched document, sign, send."""
    form = page.data("sign")
    ceremony, address = json.loads(form["data-ceremony"]), form["data-address"]
    headers = {"Content-Type": "application/json", "X-CSRF": form["data-csrf"]}
    device = Authenticator.load(key_file)
    if not ceremony["credential"]:
        made = device.create(ceremony, phone.base_url)
        answer = await phone.client.post(f"{address}/passkey", content=json.dumps(made), headers=headers)
        ceremony["credential"] = _json(answer)["credential"]
    document = (await phone.client.get(f"{address}/document")).content
    made = device.get(ceremony, hashlib.sha256(TAG + document).digest(), phone.base_url)
    answer = await phone.client.post(f"{address}/signature", content=json.dumps(made), headers=headers)
    return await phone.open(_json(answer)["next"])


def _json(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise PhoneError(f"{answer.status_code}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json()
    return body


def _location(answer: httpx.Response) -> str:
    if answer.status_code != 303:
        raise PhoneError(f"{answer.status_code}: {read(answer.text).summary}")
    location: str = answer.headers["location"]
    return location


def _browser(base_url: str) -> httpx.AsyncClient:
    """No redirects by itself, no proxy from the environment, our own Origin with every form."""
    return httpx.AsyncClient(base_url=base_url, headers={"Origin": base_url}, trust_env=False, timeout=30)
