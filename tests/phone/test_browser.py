"""The phone in a real browser at 390x844: Chromium with a virtual authenticator (CDP), driven by Playwright.

Consent → passkey → receipt → return → timeline → withdraw, the attacks that need a browser, and axe on every page.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.phone.conftest import Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

pytestmark = [pytest.mark.browser, pytest.mark.serial]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SIZE = {"width": 390, "height": 844}
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SMALL = """() => [...document.querySelectorAll('a, button, input, summary')]
  .filter((e) => e.type !== 'hidden' && !e.classList.contains('skip'))
  .map((e) => [e, (e.closest('label') || e).getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < 43.9 || box.height < 43.9))
  .map(([e]) => e.outerHTML.slice(0, 120))"""
COVERED = """() => {
  const bar = document.querySelector('.bar');
  const at = document.activeElement.getBoundingClientRect();
  if (!bar || bar.contains(document.activeElement)) return '';
  const top = bar.getBoundingClientRect().top;
  return at.height < 200 && at.bottom > top + 1 ? document.activeElement.outerHTML.slice(0, 120) : '';
}"""


@dataclass
class Handset:
    """One phone: a page, its authenticator, and what went wrong on it unasked."""

    sandbox: Sandbox
    context: BrowserContext
    page: Page
    devices: CDPSession
    trouble: list[str] = field(default_factory=list)
    authenticator: str = ""

    def watch(self) -> None:
        """Nothing may be said on the console, and nothing asked of another host but the bank's return address."""
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.route(
            "https://*.example/**", lambda route: route.fulfill(status=200, body="bank", content_type="text/plain")
        )
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.sandbox.url + "/", self.sandbox.bank.redirect_uri)):
            self.trouble.append(f"asked {url}")

    def plug_in(self, *, verified: bool = True) -> None:
        """A platform authenticator whose user is verified, or is not."""
        self.devices.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verified,
            "automaticPresenceSimulation": True,
        }
        answer = self.devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.authenticator = answer["authenticatorId"]

    def verify_user(self, *, verified: bool) -> None:
        """The finger fits, or does not."""
        self.devices.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": verified}
        )

    def open_request(self, number: int = 0) -> None:
        """Arrive from the bank with a fresh request and sign in."""
        self.page.goto(self.sandbox.url + self.sandbox.authorize(self.sandbox.push(number)))
        if "/phone/login" in self.page.url:
            self.page.fill("#mobile", self.sandbox.login["mobile"])
            self.page.fill("#passcode", self.sandbox.login["passcode"])
            self.page.click("button[type=submit]")
        self.page.wait_for_url("**/phone/requests/*")

    def agree(self) -> None:
        """Declare and go to the sign page."""
        self.page.check("#declare")
        self.page.click("text=同意，去签署")
        self.page.wait_for_url("**/sign")


@pytest.fixture(scope="module")
def browser(sandbox: Sandbox) -> Iterator[Browser]:
    """Debian's Chromium. After the sandbox, which starts a loop of its own: Playwright keeps one running."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def signed_up(browser: Browser, sandbox: Sandbox) -> list[dict[str, Any]]:
    """The passkey of the signatory, registered once in a first consent, to be carried to further phones."""
    kept: list[dict[str, Any]] = []
    for handset in _handset(browser, sandbox):
        handset.plug_in()
        journey(handset)
        answer = handset.devices.send("WebAuthn.getCredentials", {"authenticatorId": handset.authenticator})
        kept = answer["credentials"]
        assert handset.trouble == []
    return kept


@pytest.fixture
def phone(browser: Browser, sandbox: Sandbox, signed_up: list[dict[str, Any]]) -> Iterator[Handset]:
    """A phone that holds the signatory's passkey."""
    for handset in _handset(browser, sandbox):
        handset.plug_in()
        for credential in signed_up:
            handset.devices.send(
                "WebAuthn.addCredential",
                {"authenticatorId": handset.authenticator, "credential": credential | {"signCount": 1000 + _turn()}},
            )
        yield handset


_TURNS = iter(range(0, 1_000_000, 1000))


def _turn() -> int:
    """Counters move on from phone to phone: a copied key with an old counter would be refused, and should."""
    return next(_TURNS)


def _handset(browser: Browser, sandbox: Sandbox, **options: Any) -> Iterator[Handset]:
    context = browser.new_context(viewport=SIZE, device_scale_factor=2, has_touch=True, locale="zh-CN", **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    handset = Handset(sandbox, context, page, context.new_cdp_session(page))
    handset.watch()
    yield handset
    context.close()


def journey(handset: Handset) -> None:
    """Consent with one optional item, from the bank and back to it."""
    page = handset.page
    handset.open_request()
    assert page.locator("#sum").inner_text() == "共 2 类信息，有效期 30 天，最多 3 次"
    page.locator("label.switch").first.click()
    page.locator("label.tile").first.click()
    assert page.locator("#sum").inner_text().startswith("共 3 类信息，有效期 7 天")
    handset.agree()
    code = page.locator("#code").inner_text()
    page.click("#go")
    page.wait_for_url("**/phone/receipts/*")
    assert page.locator("h1").inner_text() == "授权已生效"
    assert code in page.locator("article").inner_text()
    page.click("text=返回江州农村商业银行")
    page.wait_for_url(handset.sandbox.bank.redirect_uri + "**")
    assert set(parse_qs(urlsplit(page.url).query)) == {"code", "state", "iss"}


def test_the_whole_journey(phone: Handset) -> None:
    """Registered before: the second consent needs one touch; then the timeline, the proof, the withdrawal."""
    page = phone.page
    journey(phone)
    page.goto(phone.sandbox.url + "/phone/")
    page.click("text=谁查过我")
    assert "编号连续" in page.locator("main").inner_text()
    page.click("text=您授权江州农村商业银行 >> xpath=ancestor::li[1] >> a.verify")
    page.wait_for_function("document.getElementById('own').className === 'good'")
    page.goto(phone.sandbox.url + "/phone/grants")
    page.locator("a.button.stop").first.click()
    page.click("text=确认撤销")
    page.wait_for_url("**/withdrawn")
    assert page.locator("h1").inner_text() == "授权已撤销"
    assert phone.trouble == []


def test_a_finger_that_does_not_fit_signs_nothing_and_may_try_again(phone: Handset) -> None:
    phone.open_request()
    phone.agree()
    phone.verify_user(verified=False)
    phone.page.click("#go")
    phone.page.wait_for_selector("#trouble:not([hidden])")
    assert "没有签署" in phone.page.locator("#trouble").inner_text()
    phone.verify_user(verified=True)
    phone.page.click("#go")
    phone.page.wait_for_url("**/phone/receipts/*")


def test_a_document_altered_on_the_way_is_not_signed(phone: Handset) -> None:
    def alter(route: Any) -> None:
        body = route.fetch().text().replace('"max_queries":3', '"max_queries":9')
        route.fulfill(status=200, body=body, content_type="application/json")

    phone.open_request()
    phone.agree()
    phone.page.route("**/document", alter)
    phone.page.click("#go")
    phone.page.wait_for_selector("#trouble:not([hidden])")
    assert "授权书与页面不一致" in phone.page.locator("#trouble").inner_text()


def test_a_replayed_signature_grants_nothing_twice(phone: Handset) -> None:
    sent: list[tuple[str, str, dict[str, str]]] = []
    phone.page.on(
        "request",
        lambda request: (
            request.url.endswith("/signature")
            and sent.append((request.url, request.post_data or "", {"X-CSRF": request.headers["x-csrf"]}))
        ),
    )
    phone.open_request()
    phone.agree()
    phone.page.click("#go")
    phone.page.wait_for_url("**/phone/receipts/*")
    url, body, headers = sent[0]
    headers |= {"Content-Type": "application/json", "Origin": phone.sandbox.url}
    assert phone.context.request.post(url, data=body, headers=headers).status == 409


def test_without_scripts_the_form_leads_to_the_sign_page(browser: Browser, sandbox: Sandbox) -> None:
    for handset in _handset(browser, sandbox, java_script_enabled=False):
        handset.open_request()
        handset.agree()
        assert "签署要用到通行密钥" in handset.page.locator("main").inner_text()


def test_refusing_leads_back_to_the_bank(phone: Handset) -> None:
    phone.open_request()
    phone.page.click("text=不同意 >> nth=-1")
    phone.page.wait_for_url(phone.sandbox.bank.redirect_uri + "**")
    assert parse_qs(urlsplit(phone.page.url).query)["error"] == ["access_denied"]
    assert phone.trouble == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(browser: Browser, sandbox: Sandbox, signed_up: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe, found = Axe(), []
    for handset in _handset(browser, sandbox, color_scheme=scheme):
        page = handset.page
        page.goto(sandbox.url + "/phone/login")
        found += check(axe, page)
        handset.open_request()
        found += check(axe, page)
        page.locator("summary").first.click()
        found += walk(page)
        handset.agree()
        found += check(axe, page)
        page.goto(sandbox.url + "/phone/grants?tab=ended")
        receipts = [link.get_attribute("href") for link in page.locator("a[href^='/phone/grants/grt_']").all()[:2]]
        page.goto(sandbox.url + "/phone/queries")
        entry = page.locator("a.verify").first.get_attribute("href")
        paths = ["/", "/phone/", "/phone/grants", "/phone/grants?tab=ended", "/phone/queries", entry, "/phone/switch"]
        for path in [*paths, *receipts, "/phone/nothing", "/phone/queries?lang=en", "/phone/?size=largest"]:
            page.goto(f"{sandbox.url}{path}")
            found += check(axe, page)
    assert found == []


def check(axe: Any, page: Page) -> list[str]:
    """What axe finds, what is too small to touch, what scrolls sideways at 320 px."""
    results = axe.run(page, options=AXE).response["violations"]
    found = [f"{page.url}: {each['id']}: {node['html'][:120]}" for each in results for node in each["nodes"]]
    found += [f"{page.url}: small: {each}" for each in page.evaluate(SMALL)]
    page.set_viewport_size({"width": 320, "height": 844})
    if page.evaluate("document.documentElement.scrollWidth") > 320:
        found.append(f"{page.url}: scrolls sideways at 320 px")
    page.set_viewport_size(SIZE)
    return found


def walk(page: Page) -> list[str]:
    """Tab through the page: nothing in focus may lie under the bar."""
    found = []
    for _ in range(25):
        page.keyboard.press("Tab")
        covered = page.evaluate(COVERED)
        found += [f"covered: {covered}"] if covered else []
    return found
