"""Who plays in a journey: banks, the phone, the departments' faults, the regulator; and the trail they leave.

Everything goes over sockets. Proofs are made here, claim by claim, so that a test can make a wrong one.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import typer
from joserfc import jwt
from typer.testing import CliRunner

from consent.oauth.bank import Enrolment
from consent.oauth.token import ath_of
from deploy.sandbox.bank_client import BankParty
from deploy.sandbox.decide import play, withdraw
from deploy.sandbox.stage import Stage, example_ask
from node import cli
from node.cli_run import with_enrol
from node.clock import utc_now
from node.journal.tiles import decode_bundle
from node.settings import load

QUERIES, ASSESSMENTS = "/v1/queries", "/v1/assessments"
SENTINEL = "不得外泄的字样"
"""Stands in every hostile input: no answer and no log may hold it."""
SECRETS = {"client_assertion", "code", "code_verifier", "token", "refresh_token", "access_token", "request_uri"}
DOMAINS = {"caller", "consent", "policy", "source", "audit", "gateway"}
Headers = Mapping[str, str | bytes | list[str] | None]


class Trail:
    """Everything the session used that no log may hold."""

    def __init__(self) -> None:
        self.words: set[str] = {SENTINEL, json.dumps(SENTINEL).strip('"')}

    def learn(self, *words: str) -> None:
        """More of it."""
        self.words.update(word for word in words if len(word) > 5)

    def sent(self, request: httpx.Request) -> None:
        """Credentials of a call."""
        headers = request.headers
        self.learn(headers.get("dpop", ""), headers.get("authorization", "").partition(" ")[2])
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = parse_qs(request.content.decode("latin-1"))
            self.learn(*(value for name in SECRETS for value in form.get(name, [])))

    def came(self, response: httpx.Response) -> None:
        """Credentials of an answer."""
        response.read()
        if response.headers.get("content-type") == "application/json" and response.content[:1] == b"{":
            body = response.json()
            self.learn(*(body[name] for name in SECRETS if isinstance(body.get(name), str)))

    def redirect(self, address: str) -> None:
        """The code in a redirect."""
        self.learn(*parse_qs(urlsplit(address).query).get("code", []))

    def found_in(self, text: str) -> list[str]:
        """What of it a text holds. Short numbers count only when they stand alone."""
        found = [word for word in self.words if word in text]
        return [word for word in found if len(word) > 6 or re.search(rf"(?<![0-9A-Za-z]){word}(?![0-9A-Za-z])", text)]


@dataclass(frozen=True)
class Consent:
    """What a bank holds after a yes."""

    bank: BankParty
    uscc: str
    token: str
    refresh: str
    grant_id: str
    details: dict[str, Any]
    purpose: str

    @property
    def body(self) -> dict[str, Any]:
        """A query for everything granted."""
        return {"subject": {"uscc": self.uscc}, "purpose": self.purpose}


@dataclass
class Scene:
    """A running stage and the ways to act on it."""

    stage: Stage
    framed: str
    narrow: str
    trail: Trail = field(default_factory=Trail)

    def __post_init__(self) -> None:
        self.http = self.client()
        self.banks = list(self.stage.banks)
        for bank in self.banks:
            self._equip(bank)
        parties = self.parties
        for person in (parties["signatory"], parties["player"]):
            self.trail.learn(person["mobile"], person["passcode"])
        for firm in parties["scenarios"]:
            self.trail.learn(firm["uscc"], firm["name"])
        self.trail.learn(parties["regulator"]["token"])
        self.trail.learn(*(path.read_text() for path in (self.stage.folder / "keys").iterdir()))
        self.trail.learn(*(key.get_secret_value() for key in load(self.stage.config).department_keys.values()))

    @property
    def parties(self) -> dict[str, Any]:
        """parties.json as it stands on the disk."""
        found: dict[str, Any] = json.loads((self.stage.folder / "parties.json").read_text(encoding="utf-8"))
        return found

    def client(self) -> httpx.Client:
        """An HTTP client that writes down what no log may hold."""
        hooks = {"request": [self.trail.sent], "response": [self.trail.came]}
        return httpx.Client(timeout=30, trust_env=False, event_hooks=hooks)

    def _equip(self, bank: BankParty) -> None:
        bank.http.close()
        bank.http = self.client()
        self.trail.learn(bank.key.as_dict(private=True)["d"])

    def close(self) -> None:
        """Hang up."""
        for bank in self.banks:
            bank.http.close()
        self.http.close()

    def admit(self, bank: BankParty, changes: Mapping[str, Any]) -> BankParty:
        """Enrol a bank with an appender of its own, beside the running processes."""
        enrolment = Enrolment(**(bank.enrolment() | changes))
        asyncio.run(with_enrol(load(self.stage.config), lambda enrol: enrol.bank(enrolment)))
        self._equip(bank)
        self.banks.append(bank)
        return bank

    def firm(self, key: str) -> str:
        """The credit code of a scenario firm."""
        return next(each["uscc"] for each in self.stage.parties["scenarios"] if each["key"] == key)

    def decide(self, bank: BankParty, request_uri: str, *, deny: bool = False, drop: Sequence[str] = ()) -> str:
        """The phone decides; the redirect."""
        login, key_file = self.stage.parties["player"], self.stage.folder / "authenticator.json"
        played = asyncio.run(
            play(self.stage.issuer, login, request_uri, bank.client_id, deny=deny, drop=drop, key_file=key_file)
        )
        self.trail.redirect(played.redirect)
        return played.redirect

    def signed(self, bank: BankParty, details: dict[str, Any], drop: Sequence[str] = ()) -> tuple[str, str]:
        """Pushed, shown and signed: the redirect and the PKCE verifier."""
        verifier = secrets.token_urlsafe(48)
        pushed = bank.push(details, verifier)
        assert pushed.status_code == 201, pushed.text
        return self.decide(bank, pushed.json()["request_uri"], drop=drop), verifier

    def consented(
        self, bank: BankParty | None = None, *, details: dict[str, Any] | None = None, drop: Sequence[str] = ()
    ) -> Consent:
        """A whole way to a token."""
        bank = bank or self.banks[0]
        details = details or ask(self.firm("good"))
        redirect, verifier = self.signed(bank, details, drop)
        answer = bank.redeem(redirect, verifier)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return Consent(
            bank, details["subject"]["uscc"], body["access_token"], body.get("refresh_token", ""), body["grant_id"],
            body["authorization_details"][0], details["purpose"]["code"],
        )  # fmt: skip

    def withdraw(self, consent: Consent) -> None:
        """The phone takes it back."""
        asyncio.run(withdraw(self.stage.issuer, self.stage.parties["player"], consent.uscc, consent.grant_id))

    def call(
        self,
        consent: Consent,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        door: str = "",
        path: str = QUERIES,
        headers: Headers | None = None,
    ) -> httpx.Response:
        """One call at the data door. `headers` replace the honest ones: None leaves one out, a list sends several."""
        content = body if isinstance(body, bytes) else json.dumps(body or consent.body, ensure_ascii=False).encode()
        sent: dict[str, Any] = {
            "Authorization": f"DPoP {consent.token}",
            "DPoP": proof(consent, path),
            "Idempotency-Key": secrets.token_urlsafe(16),
            "Content-Type": "application/json",
            "Prefer": "wait=5",
        } | dict(headers or {})
        pairs = [
            (name.encode(), each.encode() if isinstance(each, str) else each)
            for name, value in sent.items()
            if value is not None
            for each in (value if isinstance(value, list) else [value])
        ]
        return consent.bank.http.post((door or self.stage.issuer) + path, content=content, headers=pairs)

    def oauth(self, bank: BankParty, path: str, form: Mapping[str, str]) -> httpx.Response:
        """One authenticated call at an OAuth door."""
        url = f"{self.stage.issuer}/oauth/{path}"
        return bank.http.post(url, data=bank.assertion() | dict(form), headers={"DPoP": bank.proof(url)})

    def introspect(self, consent: Consent, bank: BankParty | None = None, token: str = "") -> dict[str, Any]:
        """What the authorization server says of a token."""
        answer = self.oauth(bank or consent.bank, "introspect", {"token": token or consent.token})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def fault(self, dataset: str, mode: str, seconds: float = 3.0) -> None:
        """Let a department misbehave ("none" ends it)."""
        settings = load(self.stage.config)
        headers = {"X-Api-Key": settings.department_keys["tax"].get_secret_value()}
        asked = {"dataset": dataset, "mode": mode, "seconds": seconds}
        address = f"{settings.departments['tax']}/sandbox/faults"
        assert self.http.post(address, json=asked, headers=headers).status_code == 200

    def log(self, path: str, token: str = "", **headers: str) -> httpx.Response:
        """A member of the public log."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.get(f"{self.stage.parties['log']['prefix']}/{path}", headers=given | headers)

    def entries(self) -> list[dict[str, Any]]:
        """The whole journal, as a regulator reads it over HTTP."""
        size = int(self.log("checkpoint").text.splitlines()[1])
        token = self.stage.parties["regulator"]["token"]
        found: list[bytes] = []
        for number in range(-(-size // 256)):
            width = min(256, size - 256 * number)
            answer = self.log(f"tile/entries/{number:03d}{'' if width == 256 else f'.p/{width}'}", token)
            assert answer.status_code == 200, answer.text
            found += decode_bundle(answer.content)
        return [json.loads(leaf) for leaf in found]


class Ran(NamedTuple):
    """A command's end. `crash` is the error that nobody put into words, or None."""

    code: int
    out: str
    err: str
    crash: BaseException | None


@cache
def command() -> typer.Typer:
    """The command line with the sandbox's commands."""
    cli._mount_sandbox()
    return cli.app


def xyd(*arguments: str | Path) -> Ran:
    """A command in this process: the same code, without half a second of imports."""
    result = CliRunner().invoke(command(), [str(each) for each in arguments], env={"COLUMNS": "200"})
    crash = None if isinstance(result.exception, SystemExit) else result.exception
    return Ran(result.exit_code, result.stdout, result.stderr, crash)


def ask(uscc: str, **changes: Any) -> dict[str, Any]:
    """What a bank pushes: four datasets, two of them optional, at most three queries."""
    return example_ask(uscc) | changes


def often(uscc: str, *datasets: str) -> dict[str, Any]:
    """Post-loan monitoring: up to sixty queries over six months."""
    return ask(
        uscc,
        purpose={"code": "POST_LOAN"},
        items=[{"datatype": each, "required": True} for each in datasets],
        use={"max_queries": 60},
    )


def proof(consent: Consent, path: str = QUERIES, *, head: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A DPoP proof for a data call; `claims` and `head` replace the honest ones, None leaves one out."""
    key = consent.bank.key
    public = {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}
    told = {
        "htm": "POST",
        "htu": consent.bank.issuer + path,
        "jti": secrets.token_urlsafe(16),
        "iat": int(utc_now().timestamp()),
        "ath": ath_of(consent.token),
    } | claims
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public} | dict(head or {})
    return jwt.encode(header, {name: value for name, value in told.items() if value is not None}, key)


def problem(answer: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """The problem document of an answer, its form checked (RFC 9457 and the members this node promises)."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text[
        :400
    ]
    told: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "instance", "code", "fault_domain", "retryable", "interaction_id"} <= set(told)
    assert told["status"] == status and told["fault_domain"] in DOMAINS and type(told["retryable"]) is bool
    assert answer.headers.get("x-interaction-id") == told["interaction_id"]
    assert told["type"].endswith(told["code"]) and answer.headers["cache-control"] == "no-store"
    assert SENTINEL not in answer.text and "Traceback" not in answer.text
    assert not code or told["code"] == code, told
    return told


def leaf_of(answer: httpx.Response) -> dict[str, Any]:
    """The journal entry that an answer's receipt holds."""
    found: dict[str, Any] = json.loads(b64decode(answer.json()["receipt"]["leaf"]))
    return found


def sent_data(answer: httpx.Response) -> bytes:
    """The bytes of `data` as they left."""
    return answer.content.removeprefix(b'{"data":').partition(b',"receipt":')[0]


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
