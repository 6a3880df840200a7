"""The sandbox's stage: a folder with keys and settings, the departments and the node as processes of their own, the
parties.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from consent.catalogue import load as load_catalogue
from consent.enterprise import CreditCode
from consent.oauth.bank import Enrolment
from deploy.sandbox import firms
from deploy.sandbox.bank_client import BankParty, new_bank
from node import schema
from node.app import Secrets, log_names
from node.cli_run import CommandFailed, new_keys, with_enrol
from node.clock import to_ms, utc_now
from node.flows.enrol import Enrol
from node.journal.standing import log_year
from node.settings import Settings, load

OWN_FILES = ("node.db", "node.db-wal", "node.db-shm", "node.toml", "parties.json", "authenticator.json", "bundle.zip")
OWN_FOLDERS = ("keys", "valkey", "logs")
START_S = 60
SIGNATORIES = {"signatory": ("13800000001", "陈*明"), "player": ("13800000002", "林*华")}
"""Two people who may sign for every scenario firm: one for whoever comes with a browser and a device of their own, one
whose device is the software authenticator of `xyd sandbox decide`. A signatory has one device.
"""
ROOT = Path(__file__).resolve().parents[2]


class StageError(CommandFailed):
    """The stage cannot be set; the message says why and what to do."""


@dataclass
class Stage:
    """One sandbox. `start` sets everything up afresh, `stop` ends the processes it started."""

    folder: Path
    port: int
    parties: dict[str, Any] = field(default_factory=dict)
    banks: list[BankParty] = field(default_factory=list)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[IO[bytes]] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """The node's address."""
        return f"http://localhost:{self.port}"

    @property
    def config(self) -> Path:
        """The node's settings file."""
        return self.folder / "node.toml"

    def start(self) -> None:
        """Clean the folder, make keys and settings, start departments and node, enrol the parties."""
        _demand_free(self.port)
        self._clean()
        new_keys(self.folder / "keys")
        departments = self._departments()
        operator_port = free_port()
        self._write_settings(departments, operator_port)
        settings = load(self.config)
        asyncio.run(schema.migrate(settings.database))
        self._spawn([sys.executable, "-m", "node", "serve", "--config", str(self.config)], "node")
        self._await_ready(f"http://127.0.0.1:{operator_port}/readyz")
        self._write_parties(settings, operator_port)

    def enrol(self) -> None:
        """Admit two banks, the scenario enterprises and their signatory, through the journal."""
        asyncio.run(with_enrol(load(self.config), self._enrol))
        self._save_parties()

    def stop(self) -> None:
        """End what this stage started, youngest first."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            if process.stdout is not None:
                process.stdout.close()
        self._processes.clear()
        for log in self._logs:
            log.close()

    def alive(self) -> bool:
        """Whether every process still runs."""
        return all(process.poll() is None for process in self._processes)

    def _clean(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in OWN_FILES:
            (self.folder / name).unlink(missing_ok=True)
        for name in OWN_FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "logs").mkdir()

    def _departments(self) -> dict[str, Any]:
        key = secrets.token_urlsafe(24)
        today = utc_now().date().isoformat()
        command = [sys.executable, "-m", "deploy.sandbox.departments", "--ports", "0,0,0,0", "--today", today]
        process = self._spawn([*command, "--key", key], "departments", pipe=True)
        if process.stdout is None or not (line := process.stdout.readline()):
            raise StageError(f"the departments did not start: see {self.folder / 'logs' / 'departments.log'}")
        return {"urls": json.loads(line), "key": key}

    def _spawn(self, command: list[str], name: str, *, pipe: bool = False) -> subprocess.Popen[bytes]:
        log = (self.folder / "logs" / f"{name}.log").open("ab")
        self._logs.append(log)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        out = subprocess.PIPE if pipe else log
        process = subprocess.Popen(command, stdout=out, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        self._processes.append(process)
        return process

    def _write_settings(self, departments: dict[str, Any], operator_port: int) -> None:
        token = secrets.token_urlsafe(24)
        lines = [
            'profile = "sandbox"',
            'node_id = "xyd.sandbox.example"',
            'node_name = "江州市信易贷节点（演示）"',
            f'issuer = "{self.issuer}"',
            f"port = {self.port}",
            f"operator_port = {operator_port}",
            f'database = "sqlite:///{self.folder.resolve() / "node.db"}"',
            f'valkey = "embedded:{self.folder.resolve() / "valkey"}"',
            f'journal_key = "{self.folder.resolve() / "keys" / "journal.key"}"',
            f'sealing_key = "{self.folder.resolve() / "keys" / "sealing.key"}"',
            f'regulator_token = "{token}"',
            "[departments]",
            *(f'{name} = "{url}"' for name, url in departments["urls"].items()),
            "[department_keys]",
            *(f'{name} = "{departments["key"]}"' for name in departments["urls"]),
        ]
        write_private(self.config, "\n".join(lines) + "\n")

    def _await_ready(self, url: str) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.alive():
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise StageError(f"the node did not become ready: see {self.folder / 'logs' / 'node.log'}")

    def _write_parties(self, settings: Settings, operator_port: int) -> None:
        year = log_year(to_ms(utc_now()))
        names = log_names(settings, load_catalogue(), Secrets.read(settings).journal_seed)
        origin = names.origin(year)
        self.banks = [
            new_bank("bank-jiangzhou", "江州农村商业银行股份有限公司", 90000001, self.issuer),
            new_bank("bank-linhai", "临海商业银行股份有限公司", 90000002, self.issuer),
        ]
        scenarios = [
            {"uscc": str(firm.code), "name": firm.name, "key": s.key, "title": s.title, "what": s.story}
            for s in firms.SCENARIOS
            for firm in (firms.firm(s.ent),)
        ]
        self.parties = {
            "issuer": self.issuer,
            "gateway": self.issuer,
            "log": {"prefix": f"{self.issuer}/log/{year}", "origin": origin, "vkey": names.signer(origin).vkey},
            "metrics": f"http://127.0.0.1:{operator_port}/metrics",
            "bank": self.banks[0].public_card(),
            "second_bank": self.banks[1].public_card(),
            "enterprise": {"uscc": scenarios[0]["uscc"], "name": scenarios[0]["name"]},
            **{role: self._login(mobile, scenarios) for role, (mobile, _) in SIGNATORIES.items()},
            "regulator": {"token": settings.regulator_token.get_secret_value()},
            "scenarios": scenarios,
            "example": example_ask(scenarios[0]["uscc"]),
        }
        self._save_parties()

    def _login(self, mobile: str, scenarios: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "login_url": f"{self.issuer}/phone/login",
            "mobile": mobile,
            "passcode": f"{secrets.randbelow(10**6):06d}",
            "may_sign_for": [each["uscc"] for each in scenarios],
        }

    def _save_parties(self) -> None:
        text = json.dumps(self.parties, ensure_ascii=False, indent=2)
        write_private(self.folder / "parties.json", text + "\n")

    async def _enrol(self, enrol: Enrol) -> None:
        for party in self.banks:
            await enrol.bank(Enrolment(**party.enrolment()))
        for each in self.parties["scenarios"]:
            await enrol.enterprise(CreditCode.parse(each["uscc"]), each["name"])
        for role, (mobile, masked) in SIGNATORIES.items():
            person = self.parties[role]
            person["id"] = await enrol.signatory(mobile, masked, person["passcode"])
            for uscc in person["may_sign_for"]:
                await enrol.mandate(person["id"], CreditCode.parse(uscc), "legal_rep", 3650)


def example_ask(uscc: str) -> dict[str, Any]:
    """An authorization_details object a bank may push: four datasets, two of them optional."""
    return {
        "type": "urn:xyd:enterprise-data:1",
        "subject": {"uscc": uscc},
        "purpose": {"code": "LOAN_APPLICATION", "product": "税易贷", "application_no": "A20261123001"},
        "items": [
            {"datatype": "tax.vat_invoice_summary", "required": True},
            {"datatype": "social_insurance.si_contributions", "required": True},
            {"datatype": "electricity.electricity_usage", "required": False},
            {"datatype": "water.water_usage", "required": False},
        ],
        "validity": {"days": 30},
        "use": {"max_queries": 3},
    }


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _demand_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise StageError(f"port {port} is taken: end what listens there, or give --port") from None
