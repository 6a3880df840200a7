"""The doctor names what is missing, in the order a newcomer meets it, with the command that mends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.registry import load_registry
from node.cli_check import diagnose
from tests.node_process import ROOT, NodeProcess

DEPARTMENTS = {entry.department: "http://127.0.0.1:9" for entry in load_registry().values()}
ORDER = ["python ≥ 3.11", "settings", "key files", "database", "valkey", "departments"]


@pytest.fixture
def node(tmp_path: Path, sqlite_database: str, valkey: str) -> NodeProcess:
    """A node that could serve; not started."""
    return NodeProcess(tmp_path, sqlite_database, valkey, DEPARTMENTS)


def wrong(config: Path) -> dict[str, str]:
    """What is wrong, by check. Whatever is wrong comes with how to mend it."""
    findings = diagnose(config)
    assert [name for name, _, _ in findings] == ORDER[: len(findings)]
    assert all(mend for _, found, mend in findings if found)
    return {name: found for name, found, _ in findings if found}


def test_a_well_node_has_nothing_wrong(node: NodeProcess) -> None:
    assert wrong(node.config) == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.toml") in wrong(tmp_path / "none.toml")["settings"]


def test_a_misspelt_key_is_named(node: NodeProcess) -> None:
    node.config.write_text("bank_rate = 5\n" + node.config.read_text(encoding="utf-8"), encoding="utf-8")
    assert wrong(node.config) == {"settings": "bank_rate"}


@pytest.mark.parametrize("file", ["journal.key", "sealing.key"])
def test_a_key_file_is_missing_open_to_others_or_no_key(node: NodeProcess, file: str) -> None:
    path = node.folder / file
    path.chmod(0o644)
    assert "chmod 600" in wrong(node.config)["key files"]
    path.chmod(0o600)
    path.write_text("abc", encoding="ascii")
    assert "ValueError" in wrong(node.config)["key files"]
    path.write_text("ab", encoding="ascii")
    assert "ValueError" in wrong(node.config)["key files"], "one byte is no key"
    path.unlink()
    assert "FileNotFoundError" in wrong(node.config)["key files"]


def test_an_unmigrated_database_is_named(tmp_path: Path, valkey: str) -> None:
    node = NodeProcess(tmp_path, f"sqlite:///{tmp_path / 'empty.db'}", valkey, DEPARTMENTS)
    assert "no revision" in wrong(node.config)["database"]


def test_a_database_or_valkey_that_is_not_there_is_named(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, "postgresql://xyd@127.0.0.1:1/none", f"unix://{tmp_path / 'none.sock'}", DEPARTMENTS)
    assert set(wrong(node.config)) == {"database", "valkey"}


def test_a_department_without_an_address_is_named(tmp_path: Path, sqlite_database: str, valkey: str) -> None:
    node = NodeProcess(tmp_path, sqlite_database, valkey, {"tax": "http://127.0.0.1:9"})
    assert wrong(node.config)["departments"] == f"no address for {', '.join(sorted(set(DEPARTMENTS) - {'tax'}))}"


def test_the_command_exits_with_what_it_found(node: NodeProcess) -> None:
    command = [sys.executable, "-m", "node", "doctor", "--config", str(node.config)]
    well = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    (node.folder / "journal.key").unlink()
    ill = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (well.returncode, ill.returncode) == (0, 1), well.stdout + well.stderr + ill.stdout + ill.stderr
    assert "xyd keys make" in ill.stdout
