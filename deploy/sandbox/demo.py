"""The journey: a bank's request to a regulator's proof, step by step, on the sandbox's stage."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from consent.errors import Refusal
from deploy.sandbox import forgery
from deploy.sandbox.decide import PhoneError, Played, play, withdraw
from deploy.sandbox.stage import Stage, example_ask
from node.cli_log import bundle_of
from node.clock import to_ms, utc_now
from node.journal.bundle import verify_bundle
from node.journal.receipt_check import verify_receipt
from node.journal.standing import log_year
from node.settings import load

Step = Callable[[], str]
LONGEST = 40
SHOWN = 260


class Journey:
    """One play. Each step returns what a spectator should read, or raises; what it learns stays here."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.verifier = secrets.token_urlsafe(48)
        self.summary: dict[str, Any] = {
            "steps": [],
            "datasets": [],
            "score": None,
            "pd": None,
            "journal_size": 0,
            "verified": False,
            "refused_after_revocation": False,
            "forgery_detected": False,
        }
        self.request_uri = self.token = self.grant_id = ""
        self.played = Played("", ())

    def steps(self) -> list[tuple[str, Step]]:
        """The journey in order."""
        return [
            ("bank_registered 银行登记", self.enrol),
            ("pushed_request 推送授权请求", self.push),
            ("phone_shows 手机上看到的", self.show),
            ("signed_consent 企业签署", self.signed),
            ("token 换取令牌", self.redeem),
            ("query 并行查询", self.query),
            ("assessment 节点内评分", self.assess),
            ("refused_after_revocation 撤销后拒绝", self.revoke),
            ("offline_verification 监管离线核验", self.verify),
            ("forgery 伪造的记录", self.forge),
        ]

    @property
    def bank(self) -> Any:
        """The first bank."""
        return self.stage.banks[0]

    @property
    def uscc(self) -> str:
        """The demonstration enterprise."""
        return str(self.stage.parties["enterprise"]["uscc"])

    def enrol(self) -> str:
        """Two banks, the scenario enterprises, their signatory: each act is in the journal."""
        self.stage.enrol()
        firms = len(self.stage.parties["scenarios"])
        return f"{self.bank.name}（{self.bank.client_id}）与第二家银行已登记；企业 {firms} 家"

    def push(self) -> str:
        """The bank asks for exactly what a loan needs."""
        answer = self.bank.push(example_ask(self.uscc), self.verifier)
        answer.raise_for_status()
        self.request_uri = answer.json()["request_uri"]
        return f"request_uri …{self.request_uri[-12:]}，{answer.json()['expires_in']} 秒内有效"

    def show(self) -> str:
        """The phone is played: login, review, sign; first what it shows."""
        self.played = asyncio.run(
            play(
                self.stage.issuer,
                self.stage.parties["player"],
                self.request_uri,
                self.bank.client_id,
                deny=False,
                drop=(),
                key_file=self.stage.folder / "authenticator.json",
            )
        )
        return "\n".join(_screen(text) for text in self.played.screens)

    def signed(self) -> str:
        """The consent is signed by a passkey over the document's hash; the code comes back with the redirect."""
        if "code=" not in self.played.redirect:
            raise RuntimeError("the phone gave no code")
        return f"口令钥匙签名已核验，返回 {self.played.redirect.partition('?')[0]}?code=…"

    def redeem(self) -> str:
        """Code for token, bound to the bank's key."""
        answer = self.bank.redeem(self.played.redirect, self.verifier)
        answer.raise_for_status()
        body = answer.json()
        self.token, self.grant_id = body["access_token"], body["grant_id"]
        granted = [item["datatype"] for item in body["authorization_details"][0]["items"]]
        return f"{body['token_type']} 令牌，{body['expires_in']} 秒；授予 {len(granted)} 类：{'、'.join(granted)}"

    def query(self) -> str:
        """Departments are asked in parallel; the answer is minimised and carries its receipt."""
        answer = self.bank.post("/v1/queries", self.token, self._body())
        answer.raise_for_status()
        body = answer.json()
        report = verify_receipt(answer.content, self.stage.parties["log"]["vkey"])
        if not (report.ok and report.complete):
            raise RuntimeError("the receipt does not hold")
        legs = body["data"]["legs"]
        self.summary["datasets"] = [leg["dataset"] for leg in legs if leg["state"] == "READY"]
        lines = [
            f"{leg['dataset']}: {leg['state']} {len(leg.get('records', []))} 条，数据截至 {leg.get('as_of', '–')}"
            f"（{leg.get('provenance', leg.get('reason', ''))}）"
            for leg in legs
        ]
        receipt = body["receipt"]
        return "\n".join(
            [
                *lines,
                f"回执：第 {receipt['index']} 号，树大小 {receipt['size']}，包含证明 {len(receipt['path'])} 步，已核验",
            ]
        )

    def assess(self) -> str:
        """The score is made inside the node; no row leaves."""
        answer = self.bank.post("/v1/assessments", self.token, self._body())
        answer.raise_for_status()
        data = answer.json()["data"]
        self.summary["score"], self.summary["pd"] = data["score"], float(data["pd"])
        reasons = [f"  失分 {each['zh']}" for each in data["reasons"]] or ["  各项均不低于样本平均"]
        reasons += [f"  得分 {each['zh']}" for each in data["strengths"]]
        return "\n".join([f"评分 {data['score']}（{data['band']['zh']}），违约概率 {data['pd']}", *reasons])

    def revoke(self) -> str:
        """The enterprise takes it back on the phone; the same query is refused."""
        signatory = self.stage.parties["player"]
        asyncio.run(withdraw(self.stage.issuer, signatory, self.uscc, self.grant_id))
        answer = self.bank.post("/v1/queries", self.token, self._body())
        refused = answer.status_code in (401, 403)
        self.summary["refused_after_revocation"] = refused
        if not refused:
            raise RuntimeError(f"a query after the revocation was answered {answer.status_code}")
        return f"企业在手机上撤销；同一查询得到 {answer.status_code} {answer.json()['code']}"

    def verify(self) -> str:
        """The regulator checks the whole journal from a file, without the node."""
        settings = load(self.stage.config)
        data = asyncio.run(bundle_of(settings, log_year(to_ms(utc_now()))))
        (self.stage.folder / "bundle.zip").write_bytes(data)
        report = verify_bundle(data, self.stage.parties["log"]["vkey"])
        self.summary["verified"] = report.ok and report.complete
        self.summary["journal_size"] = report.checkpoint.size if report.checkpoint else 0
        if not self.summary["verified"]:
            raise RuntimeError("the journal does not verify")
        return "\n".join(f"✓ {check.zh}" for check in report.checks)

    def forge(self) -> str:
        """One entry is altered, everything the operator can sign is signed again: the root gives it away."""
        data = (self.stage.folder / "bundle.zip").read_bytes()
        report = forgery.verify_forged(load(self.stage.config), data, self.stage.parties["log"]["vkey"])
        self.summary["forgery_detected"] = not report.ok
        if report.ok:
            raise RuntimeError("the forgery was not found")
        return "\n".join(f"✗ {check.zh}" for check in report.checks if check.ok is False)

    def _body(self) -> dict[str, Any]:
        return {"subject": {"uscc": self.uscc}, "purpose": "LOAN_APPLICATION"}


def _screen(text: str) -> str:
    """A phone's screen in a few lines: its title and what stands below it, shortened for a terminal."""
    title, *rest = text.split(" | ")
    shown = "；".join(each for each in rest if len(each) <= LONGEST)
    return f"▌{title}\n  {shown[:SHOWN]}{'…' if len(shown) > SHOWN else ''}"


def run(folder: Path, port: int, *, once: bool, as_json: bool) -> dict[str, Any]:
    """Play it. With `once` everything is ended afterwards, else the node stays up until interrupted."""
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    stage = Stage(folder, port)
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ended from outside, the demo still ends the processes it started.
        signal.signal(number, _interrupt)
    try:
        console.print("启动：四个演示部门、私有 Valkey、节点（SQLite）…", markup=False)
        stage.start()
        summary = _play(Journey(stage), console)
        summary["seconds"] = round(time.monotonic() - started, 1)
        _table(console, summary)
        if as_json:
            print(json.dumps(summary, ensure_ascii=False), flush=True)
        if not once:
            _stay(stage, console)
    except KeyboardInterrupt:
        console.print("结束 / ended", markup=False)
        raise SystemExit(130) from None
    finally:
        stage.stop()
    return summary


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _play(journey: Journey, console: Console) -> dict[str, Any]:
    for number, (name, step) in enumerate(journey.steps(), 1):
        console.rule(f"{number} {name}", align="left")
        began = time.monotonic()
        try:
            text, ok = step(), True
        except (httpx.HTTPError, PhoneError, Refusal, RuntimeError, OSError, LookupError, ValueError) as error:
            text, ok = f"{type(error).__name__}: {error}", False
        elapsed = round((time.monotonic() - began) * 1000)
        journey.summary["steps"].append({"name": name.split(" ")[0], "ok": ok, "ms": elapsed})
        console.print(text, markup=False)
        if not ok:
            break
    return journey.summary


def _table(console: Console, summary: dict[str, Any]) -> None:
    table = Table("步骤 step", "结果", "毫秒 ms")
    for step in summary["steps"]:
        table.add_row(step["name"], "✓" if step["ok"] else "✗", str(step["ms"]))
    console.print(table)
    console.print(
        f"日志 {summary['journal_size']} 条，核验 {'通过' if summary['verified'] else '未通过'}，"
        f"共 {summary['seconds']} 秒",
        markup=False,
    )


def _stay(stage: Stage, console: Console) -> None:
    parties = stage.parties
    signatory = parties["signatory"]
    doors = [
        ("首页 landing", stage.issuer, "各入口一览"),
        ("手机 phone", f"{stage.issuer}/phone/", f"手机号 {signatory['mobile']}，登录口令 {signatory['passcode']}"),
        ("银行接口 bank API", f"{stage.issuer}/openapi.json", "OpenAPI 3.1；密钥见 parties.json"),
        ("存证日志 log", f"{parties['log']['prefix']}/checkpoint", "C2SP tlog-tiles"),
        ("指标 metrics", parties["metrics"], "Prometheus；/livez /readyz"),
        ("各方资料 parties", str(stage.folder / "parties.json"), "任何客户端都可加入"),
    ]
    console.rule("入口 addresses", align="left")
    for name, address, what in doors:
        # Not a table: an address that a narrow terminal cuts is no address.
        console.print(f"{name}\n    {address}\n    {what}", markup=False)
    console.print("按 Ctrl-C 结束 / press Ctrl-C to end", markup=False)
    try:
        while stage.alive():
            time.sleep(0.5)
    except KeyboardInterrupt:  # the way this is meant to end
        console.print("结束 / ended", markup=False)
    else:
        console.print(f"一个进程已结束，见 {stage.folder / 'logs'}", markup=False)
