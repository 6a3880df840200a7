"""Sample views for every template, as the flows hand them over, with people and banks that do not exist."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from consent import catalogue as catalogues
from consent.catalogue import Catalogue
from consent.document import check_code
from consent.enterprise import CreditCode, issue_fictitious
from consent.grant import GrantState
from consent.oauth.bank import BankView
from consent.oauth.details import AskedConsent
from consent.oauth.issuer import Issuer, Rules
from consent.oauth.pushed import Pushed, Visit
from consent.period import Period
from consent.purpose import template
from consent.scope import Scope, ScopeItem
from node.clock import to_ms
from node.faces.render import Faces, NodeName
from node.faces.views import Page
from node.flows.phone.account import AskCard, GrantCard, GrantList, GrantPage, GrantShown, Home, ReceiptPage
from node.flows.phone.asks import Ask
from node.flows.phone.people import Acting
from node.flows.phone.proofs import Proven, Step
from node.flows.phone.review import Choice, ChoiceRefused, Numbers, Parties, draft, review, show_item
from node.flows.phone.sessions import Session
from node.flows.phone.signing import SignPage
from node.flows.phone.timeline import Book, Line, Timeline, days

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
ENTERPRISE: CreditCode = issue_fictitious(17)
REQUIRED = ("registration.basic_registration", "tax.tax_arrears", "tax.vat_invoice_summary")
OPTIONAL = ("electricity.electricity_usage", "social_insurance.si_contributions")


def rules() -> Rules:
    """A node on loopback."""
    return Rules(Issuer("http://localhost:8080", b"0" * 32), catalogues.load())


def bank(name: str = "江州农村商业银行股份有限公司") -> BankView:
    """A bank that may ask."""
    return BankView(
        client_id="jz-rcb",
        name=name,
        org_uscc=str(issue_fictitious(9001)),
        licence_no="B0234H332010001",
        contact="0511-8800 1234",
        keys=(),
        alg="ES256",
        redirect_uris=("https://loan.jzrcb.example/cb",),
        purposes=frozenset({"LOAN_APPLICATION"}),
        introspects=False,
        active=True,
    )


def asked(
    product: str = "江州农商行·惠企税贷", *, not_after: datetime | None = None, days_asked: int = 90
) -> AskedConsent:
    """A loan application's request: three required items, two optional ones."""
    found = template("LOAN_APPLICATION", catalogues.load())
    months = Period.parse("2024-12", "2026-11")
    items = [
        ScopeItem(name, "read", tuple(sorted(found.datasets[name].fields)), months) for name in (*REQUIRED, *OPTIONAL)
    ]
    items[0] = ScopeItem(items[0].dataset, "read", items[0].fields, Period.parse("2026-11", "2026-11"))
    return AskedConsent(
        enterprise=ENTERPRISE,
        template=found,
        scope=Scope.of(items),
        required=frozenset(REQUIRED),
        days=days_asked,
        not_after=not_after,
        max_queries=3,
        product=product,
        product_id="P-01",
        application_no="JZ2026112300017",
        amount="3000000.00",
        text="",
    )


def ask(request: AskedConsent | None = None) -> Ask:
    """A request as the phone remembers it."""
    pushed = Pushed(
        "jz-rcb", "https://loan.jzrcb.example/cb", "s1", "c" * 43, "", request or asked(), to_ms(NOW) + 72 * 3_600_000
    )
    return Ask("ask_sample", Visit("jz-rcb", "urn:ietf:params:oauth:request_uri:" + "r" * 43), pushed)


def acting(name: str = "江州精铸机械有限公司") -> Acting:
    """A legal representative with a second enterprise."""
    session = Session("s" * 43, "sig_1", str(ENTERPRISE))
    return Acting(
        session, "*建国", "legal_rep", ENTERPRISE, name, ((str(issue_fictitious(18)), "江州恒通物流有限公司"),)
    )


def numbers() -> Numbers:
    """What chance would give."""
    return Numbers("grt_5e1c9a70b2d348f6a1c07d42", "n" * 32)


def sign_page(name: str = "江州农村商业银行股份有限公司") -> SignPage:
    """The check-answers page of a drawn-up document."""
    request = asked()
    parties = Parties(acting(), bank(name), "node.jiangzhou.example", catalogues.load())
    drawn = draft(request, Choice(frozenset({OPTIONAL[0]}), 90), parties, numbers(), now=NOW)
    document = json.loads(drawn.text)
    ceremony = {
        "rp": {"id": "localhost", "name": "node"},
        "user": {"id": "AAAA", "name": "*建国", "displayName": "*建国"},
        "challenge": "AAAA",
        "credential": "",
        "algorithms": [-7, -257],
    }
    code = check_code(drawn.text.encode())
    span = (document["valid_from"], document["valid_until"])
    return SignPage("ask_sample", bank(name), request.template, drawn.text, document, code, *span, "", ceremony)


def grant(state: GrantState = GrantState.ACTIVE) -> GrantShown:
    """A grant of four items."""
    items = tuple(show_item(item, rules()) for item in asked().scope.without(frozenset({OPTIONAL[0]})))
    return GrantShown(
        id=numbers().grant_id,
        version=1,
        state=state,
        client_id="jz-rcb",
        purpose="LOAN_APPLICATION",
        items=items,
        begins=NOW - timedelta(days=22),
        ends=NOW + timedelta(days=68),
        created=NOW - timedelta(days=22),
        max_queries=3,
        used=1,
    )


def line(kind: str, seq: int, *, why: str = "", bank_name: str = "江州农村商业银行股份有限公司") -> Line:
    """One entry."""
    purpose = "" if kind in ("PASSKEY", "REVOKE", "ABORT", "STOP") else "LOAN_APPLICATION"
    datasets = (
        ("tax.vat_invoice_summary", "social_insurance.si_contributions") if kind in ("REQ", "REL", "GRANT") else ()
    )
    when = NOW - timedelta(hours=7 * (12 - seq))
    name = "" if kind == "PASSKEY" else bank_name
    return Line(
        2026, 4000 + seq, seq, kind, when, name, purpose, datasets, why, "" if kind == "PASSKEY" else "grt_5e1c9a70"
    )


def lines() -> list[Line]:
    """A history, newest first."""
    kinds = ("PASSKEY", "GRANT", "TOKEN", "REQ", "REL", "REQ", "ABORT", "ASSESS", "STOP", "REJECT", "REVOKE", "DENY")
    return [line(kind, seq, why="consent.revoked" if kind == "DENY" else "") for seq, kind in enumerate(kinds, 1)][::-1]


def proven() -> Proven:
    """One entry proven at height five."""
    steps = tuple(Step(f"{number * 7919:08x}", bool(number % 2)) for number in range(1, 6))
    checks = (("leaf", True), ("path", True), ("opening", True))
    proof = {"leaf": "e30=", "index": 4012, "size": 4013, "path": [], "root": "AA==", "salt": "AA==", "details": ""}
    note = "node.jiangzhou.example/log/2026\n4013\nq83v\n\n— node.jiangzhou.example/log/2026 AbCd\n"
    return Proven(
        line("DENY", 12, why="consent.revoked"),
        4013,
        "ab" * 32,
        steps,
        checks,
        proof,
        '{\n  "interaction": "0f8c"\n}',
        False,
        '{\n  "kind": "DENY",\n  "seq": 12\n}',
        "cd" * 32,
        note,
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """One page: template, context, whether somebody is signed in."""

    name: str
    template: str
    view: Any
    signed_in: bool = True


def samples(hostile: str = "") -> list[Sample]:
    """Every page at least once. `hostile` replaces the names that come from outside."""
    name = hostile or "江州农村商业银行股份有限公司"
    request = asked(hostile or "江州农商行·惠企税贷")
    page = review(ask(request), bank(name), rules(), now=NOW)
    refused = ChoiceRefused(("error.declare",), frozenset({OPTIONAL[1]}), 30)
    again = review(ask(request), bank(name), rules(), now=NOW, refused=refused)
    history = tuple(line(each.kind, each.seq, why=each.why, bank_name=name) for each in lines())
    card = GrantCard(grant(), name, request.product, 68, 75, NOW)
    ended = GrantCard(grant(GrantState.REVOKED), name, request.product, 0, 0, NOW)
    timeline = Timeline((Book(2026, 12, 12, 12),), days(history), 2026, 3, 2, 1, 0)
    broken = Timeline((Book(2026, 11, 12, 11),), days(history[:2]), 2026, 0, 2, 1, 1)
    waiting = AskCard("ask_sample", name, "LOAN_APPLICATION", 3, 2, NOW + timedelta(hours=71))
    address = "http://localhost:8080/phone/receipts/grt_5e1c9a70b2d348f6a1c07d42"
    receipt = ReceiptPage(grant(), name, "7F3K-Q9ZD", 4002, 2026, "cd" * 32, address, NOW, "https://loan.jzrcb.example")
    code = "7F3K-Q9ZD"
    login = {"bank": name, "next": "/phone/", "error": "", "mobile": ""}
    doors = [{"name": "phone", "href": "/phone/", "shown": "http://localhost:8080/phone/", "glyph": "person"}]
    return [
        Sample("landing", "landing.html", {"doors": doors}, signed_in=False),
        Sample("login", "login.html", login, signed_in=False),
        Sample("login-wrong", "login.html", login | {"error": "wrong", "mobile": hostile}, signed_in=False),
        Sample("review", "review.html", page),
        Sample("review-again", "review.html", again),
        Sample("sign", "sign.html", sign_page(name)),
        Sample("receipt", "receipt.html", receipt),
        Sample("withdrawn", "withdrawn.html", receipt),
        Sample("home", "home.html", Home((waiting,), 1, 2, 1, 12, history[:4])),
        Sample("home-new", "home.html", Home((), 0, 0, 0, 0, ())),
        Sample("grants", "grants.html", GrantList((card,), False, (1, 1))),
        Sample("grants-ended", "grants.html", GrantList((ended,), True, (1, 1))),
        Sample("grant", "grant.html", GrantPage(grant(), name, request.product, code, history[:3])),
        Sample("withdraw", "withdraw.html", GrantPage(grant(), name, request.product, code, ())),
        Sample("queries", "queries.html", timeline),
        Sample("queries-broken", "queries.html", broken),
        Sample("query", "query.html", proven()),
        Sample("switch", "switch.html", {"choices": ((str(ENTERPRISE), name), ("x", "江州恒通物流有限公司"))}),
        Sample("problem", "problem.html", {"code": "request_unknown", "number": "ab12cd34"}, signed_in=False),
    ]


def faces(catalogue: Catalogue | None = None) -> Faces:
    """Faces of a sample node."""
    node = NodeName("node.jiangzhou.example", "江州市信易贷服务节点")
    return Faces(node, catalogue or catalogues.load(), secure=False)


def render(rendering: Faces, sample: Sample, page: Page | None = None, who: Acting | None = None) -> str:
    """The HTML of a sample."""
    page = page or Page(csrf="t" * 64, path="/phone/", signed_in=sample.signed_in)
    return rendering.page(
        sample.template, page, acting=(who or acting()) if sample.signed_in else None, view=sample.view
    )
