"""The node, the departments and a bank's client as processes and sockets of their own: `xyd serve` as an operator
runs it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx

from deploy.sandbox.stage import free_port, write_private
from node.clock import to_ms, utc_now
from node.journal.standing import LogNames, log_year
from node.settings import Settings, load
from tests.faults.journal import NAMES, NODE_ID, SEALING_KEY, SEED
from tests.people import Regulator

ROOT = Path(__file__).parents[1]
BOOT_S = 40.0
DEPARTMENT_KEY = "key-of-the-test-departments"


class NotReady(Exception):
    """The node did not come up; the message ends with its log."""


class DepartmentsProcess:
    """The four sandbox departments in one process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "deploy.sandbox.departments", "--ports", "0,0,0,0", "--key", DEPARTMENT_KEY]
        command += ["--today", utc_now().date().isoformat()]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.urls: dict[str, str] = json.loads(self._process.stdout.readline())
        self._control = httpx.Client(
            base_url=self.urls["tax"], headers={"X-Api-Key": DEPARTMENT_KEY}, trust_env=False, timeout=10
        )

    def fault(self, dataset: str, mode: str, seconds: float = 3.0) -> None:
        """Put a fault in force ("none" ends it)."""
        asked = {"dataset": dataset, "mode": mode, "seconds": seconds}
        assert self._control.post("/sandbox/faults", json=asked).status_code == 200

    def asked(self) -> int:
        """How often they were asked so far."""
        return sum(self._control.get("/sandbox/counts").json().values())

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class NodeProcess:
    """`python -m node serve` on a database and a Valkey. Killed and started again, it keeps its folder, keys and
    ports.
    """

    folder: Path
    database: str
    valkey: str
    departments: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    operator_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        write_private(self.folder / "journal.key", SEED.hex())
        write_private(self.folder / "sealing.key", SEALING_KEY.hex())
        values: dict[str, Any] = {
            "profile": "sandbox",
            "node_id": NODE_ID,
            "node_name": "测试节点",
            "issuer": self.issuer,
            "port": self.port,
            "operator_port": self.operator_port,
            "database": self.database,
            "valkey": self.valkey,
            "journal_key": str(self.folder / "journal.key"),
            "sealing_key": str(self.folder / "sealing.key"),
            "regulator_token": Regulator().token,
            "bank_rate_per_s": 100_000,
        } | self.extra
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        lines += ["[departments]", *(f'{name} = "{url}"' for name, url in self.departments.items())]
        lines += ["[department_keys]", *(f'{name} = "{DEPARTMENT_KEY}"' for name in self.departments)]
        write_private(self.config, "\n".join(lines) + "\n")

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "node.toml"

    @property
    def issuer(self) -> str:
        """Its address."""
        return f"http://localhost:{self.port}"

    @property
    def url(self) -> str:
        """The same, by number: no name is looked up."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def operator_url(self) -> str:
        """The operator's door."""
        return f"http://127.0.0.1:{self.operator_port}"

    @property
    def settings(self) -> Settings:
        """As the node reads them."""
        return load(self.config)

    @property
    def names(self) -> LogNames:
        """Its logs' names and keys."""
        return NAMES

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log_text(self) -> str:
        """Everything it has logged."""
        return (self.folder / "node.log").read_text(encoding="utf-8", errors="replace")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process; say nothing about whether it serves."""
        with (self.folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node", "serve", "--config", str(self.config)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        return self._process

    def start(self) -> None:
        """Start it and wait until it is ready and takes calls. Raises NotReady with its log."""
        process = self.launch()
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline and process.poll() is None:
            if self.ready() and self.takes_calls():
                return
            time.sleep(0.05)
        raise NotReady(f"exit {process.poll()}: {self.log_text[-4000:]}")

    def takes_calls(self) -> bool:
        """Whether the doors are open."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def ready(self) -> bool:
        """What /readyz says; False while nobody answers."""
        # Asked some fifty times a boot: httpx would spend more on its TLS settings than the node on starting.
        line = HTTPConnection("127.0.0.1", self.operator_port, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except OSError:
            return False
        finally:
            line.close()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code. SIGKILL after a while."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def ending(node: NodeProcess) -> Iterator[NodeProcess]:
    """The node, surely ended afterwards."""
    try:
        yield node
    finally:
        node.stop()


def this_year() -> int:
    """The year of the log that a node writes to now."""
    return log_year(to_ms(utc_now()))
