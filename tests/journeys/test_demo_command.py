"""`xyd demo --once --json`: the summary a stranger's tool reads, and what a taken port is told."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from deploy.sandbox.stage import ROOT, free_port
from node.settings import load

pytestmark = pytest.mark.serial

STEPS = [
    "bank_registered", "pushed_request", "phone_shows", "signed_consent", "token", "query", "assessment",
    "refused_after_revocation", "offline_verification", "forgery",
]  # fmt: skip


class Played(NamedTuple):
    """One run of the command."""

    run: subprocess.CompletedProcess[str]
    folder: Path
    port: int
    summary: dict[str, Any]


def xyd(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with a terminal of 80 columns."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "node", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The journey, once."""
    folder, port = tmp_path_factory.mktemp("demo") / "new" / "folder", free_port()
    run = xyd("demo", "--once", "--json", "--dir", str(folder), "--port", str(port))
    return Played(run, folder, port, json.loads(run.stdout.splitlines()[-1]))


def test_the_demo_exits_0_and_its_last_line_holds_every_named_member(played: Played) -> None:
    assert played.run.returncode == 0, played.run.stderr[-2000:]
    told = played.summary
    types = {
        "steps": list, "datasets": list, "score": int, "pd": float, "journal_size": int, "verified": bool,
        "refused_after_revocation": bool, "forgery_detected": bool, "seconds": float,
    }  # fmt: skip
    assert {name: type(told[name]) for name in types} == types
    assert [(each["name"], each["ok"], type(each["ms"])) for each in told["steps"]] == [(n, True, int) for n in STEPS]
    assert all(set(each) == {"name", "ok", "ms"} and each["ms"] >= 0 for each in told["steps"])
    assert told["verified"] and told["refused_after_revocation"] and told["forgery_detected"]


def test_the_demo_queries_three_datasets_or_more_and_scores_within_range(played: Played) -> None:
    told = played.summary
    assert len(set(told["datasets"])) >= 3 and all("." in each for each in told["datasets"])
    assert 300 <= told["score"] <= 900 and 0 < told["pd"] < 1
    assert told["journal_size"] > 20 and 0 < told["seconds"] < 60


def test_with_json_only_the_summary_is_on_standard_output(played: Played) -> None:
    assert len(played.run.stdout.splitlines()) == 1
    for word in ("手机上看到的", "回执", "核验"):
        assert word in played.run.stderr
    assert "Traceback" not in played.run.stderr


def test_the_demo_keeps_to_the_folder_and_port_it_was_given(played: Played) -> None:
    parties = json.loads((played.folder / "parties.json").read_text(encoding="utf-8"))
    assert parties["issuer"] == f"http://localhost:{played.port}"
    assert stat.S_IMODE((played.folder / "parties.json").stat().st_mode) == 0o600
    assert (played.folder / "bundle.zip").is_file()


def test_once_leaves_nothing_listening(played: Played) -> None:
    node = load(played.folder / "node.toml")
    ports = [node.port, node.operator_port, *(urlsplit(each).port or 0 for each in node.departments.values())]
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, port
    with socket.socket(socket.AF_UNIX) as probe:
        assert probe.connect_ex(str(played.folder / "valkey" / "valkey.sock")) != 0


def test_a_taken_port_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = xyd("demo", "--once", "--json", "--dir", str(tmp_path / "demo"), "--port", str(port))
    assert run.returncode == 2 and str(port) in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "demo" / "keys").exists()
