"""One running sandbox for all journeys: `Stage` as the demo sets it, and two more node processes on the same stores.

`framed` serves data calls through the framework (fast_path = false), `narrow` lets a bank call three times a second;
all three share database, journal, Valkey and issuer, as workers behind a proxy do. When the session ends, the log of
every process is searched for everything the session knew that no log may hold.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.sandbox.bank_client import BankParty, new_bank
from deploy.sandbox.stage import ROOT, Stage, free_port, write_private
from tests.journeys.actors import Consent, Scene, ask

RATE_OF_TESTS = "1000"
RATE_OF_NARROW = 3
BOOT_S = 40


class Worker:
    """One more node process over a stage's stores."""

    def __init__(self, stage: Stage, name: str, **changes: str) -> None:
        self.port, self.operator_port = free_port(), free_port()
        self.config = stage.folder / f"{name}.toml"
        self.log = stage.folder / "logs" / f"{name}.log"
        changes |= {
            "port": str(self.port),
            "operator_port": str(self.operator_port),
            "valkey": f'"unix://{stage.folder.resolve() / "valkey" / "valkey.sock"}"',
        }
        lines = [line for line in stage.config.read_text().splitlines() if line.split(" = ")[0] not in changes]
        write_private(self.config, "\n".join([*(f"{key} = {value}" for key, value in changes.items()), *lines]))
        command = [sys.executable, "-m", "node", "serve", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def ready(self) -> str:
        """Wait for it; its address."""
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{self.operator_port}/readyz", timeout=2).status_code == 200:
                    return f"http://127.0.0.1:{self.port}"
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError(f"{self.config.name} did not come up: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        assert self._process.wait(15) == 0


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    """The stage with everybody on it."""
    folder = Path(tempfile.mkdtemp(prefix="xyd-"))  # short: a Unix socket's path has at most 107 bytes
    stage, workers = Stage(folder, free_port()), list[Worker]()
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("XYD_BANK_RATE_PER_S", RATE_OF_TESTS)
            stage.start()
            workers.append(Worker(stage, "framed", fast_path="false"))
        workers.append(Worker(stage, "narrow", bank_rate_per_s=str(RATE_OF_NARROW)))
        stage.enrol()
        scene = Scene(stage, framed=workers[0].ready(), narrow=workers[1].ready())
        yield scene
        metrics = scene.http.get(stage.parties["metrics"]).text
        scene.close()
        for worker in workers:
            worker.stop()
        workers.clear()
        stage.stop()
        assert scene.trail.found_in(metrics) == []
        for log in ("node", "framed", "narrow"):
            text = (folder / "logs" / f"{log}.log").read_text(encoding="utf-8", errors="replace")
            assert scene.trail.found_in(text) == [], log
    finally:
        for worker in workers:
            worker.stop()
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["fast", "framed"])
def door(request: pytest.FixtureRequest, scene: Scene) -> str:
    """The address of the data door: ahead of the framework, or through it."""
    return scene.stage.issuer if request.param == "fast" else scene.framed


@pytest.fixture(scope="session")
def consent(scene: Scene) -> Consent:
    """A consent that only refusals are tried on: its three queries are never used."""
    return scene.consented(details=ask(scene.firm("good")))


@pytest.fixture(scope="session")
def admitted(scene: Scene) -> Callable[..., BankParty]:
    """Admit one more bank through the journal, beside the running node."""

    def admit(client_id: str, **enrolment: object) -> BankParty:
        serial = 91000000 + len(scene.banks)
        return scene.admit(new_bank(client_id, "江南银行股份有限公司", serial, scene.stage.issuer), enrolment)

    return admit
