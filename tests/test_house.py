"""The rules of the house, held over every file of the checkout, and each shown to catch a bad sample.

Tables and checks are in `house_rules.py`, the import probe in `house_probe.py`; standard library only. The static part
takes well under a second; the probe imports every module of the four packages in a bare process.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from tests import house_rules as rules
from tests.house_rules import Module

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (*rules.TOWER, "deploy", "tests")
UNREAD = {".xz", ".png", ".gz", ".woff2", ".pdf", ".parquet", ".db", ".ico"}
# Imported by Alembic only, inside a migration's context.
UNIMPORTABLE = ("node/migrations/*",)


@cache
def modules() -> tuple[Module, ...]:
    paths = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


@cache
def all_files() -> tuple[Path, ...]:
    """Tracked files and those that would be; without git, every file outside the usual leftovers."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True, check=False
    )
    if listing.returncode == 0:
        return tuple(path for name in listing.stdout.decode().split("\0") if (path := ROOT / name).is_file())
    left = {".venv", ".git", "__pycache__", "build", "dist"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(one in left or one.endswith(("_cache", ".egg-info")) for one in path.relative_to(ROOT).parts)
    )


def probe(root: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-B", str(ROOT / "tests" / "house_probe.py"), str(root), *names]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


# ------------------------------------------------------------------------------------------------------- the house


@pytest.mark.parametrize("check", rules.CHECKS, ids=lambda check: check.__name__)
def test_every_file_keeps(check):
    found = [one for module in modules() for one in check(module)]
    assert not found, f"{check.__doc__}\n" + "\n".join(found)


def test_the_walk_sees_every_package():
    assert {module.package for module in modules()} == set(PACKAGES)


def test_no_circle_of_imports():
    found = rules.circles(modules())
    assert not found, "\n".join(found)


def test_no_file_names_a_registry_or_a_machine():
    found = []
    for path in all_files():
        if path.suffix not in UNREAD and path.stat().st_size < 2_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += rules.addresses(path.relative_to(ROOT).as_posix(), text)
    assert not found, "\n".join(found)


def test_locks_agree_and_hold_what_the_project_names():
    node, dev = (rules.pins((ROOT / name).read_text()) for name in ("requirements.lock", "requirements-dev.lock"))
    rules.pins((ROOT / "requirements-verifiers.lock").read_text())
    assert node.items() <= dev.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    spelled = str.maketrans("_.", "--")
    assert {name.lower() for name in project["project"]["dependencies"]} <= node.keys()
    wanted = {name.partition(";")[0].lower().translate(spelled) for name in project["dependency-groups"]["dev"]}
    assert wanted <= {name.translate(spelled) for name in dev}


def test_every_setting_is_read_and_explained():
    settings = next(module for module in modules() if module.path == "node/settings.py")
    explained = (ROOT / "deploy" / "node.toml").read_text(encoding="utf-8")
    found = rules.idle_settings(settings, modules(), explained)
    assert not found, "\n".join(found)


def test_the_distribution_carries_the_tower_and_no_more():
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {name.removesuffix(".*") for name in find["include"]} == set(rules.TOWER)


def test_importing_a_module_does_nothing_to_the_world():
    names = [
        module.name
        for module in modules()
        if module.in_tower and not rules.among(module.path, UNIMPORTABLE) and not module.path.endswith("__main__.py")
    ]
    run = probe(ROOT, names)
    assert run.returncode == 0, run.stdout + run.stderr


# ------------------------------------------------------------------------------------------------------- bad samples
# (check, path, source, a piece of the finding). A check that lets its sample pass fails the build.

SAMPLES: list[tuple[str, str, str, str]] = [
    ("package_arrows", "consent/grant.py", "from node.clock import utc_now", "upward"),
    ("package_arrows", "risk/a.py", "import node", "upward"),
    ("package_arrows", "adapters/a.py", "def f():\n    from risk import scorecard", "upward"),
    ("package_arrows", "consent/a.py", "if TYPE_CHECKING:\n    from adapters.source import Source", "upward"),
    ("package_arrows", "adapters/tax.py", "from consent import oauth", "OAuth"),
    ("package_arrows", "node/cli.py", "import deploy.sandbox", "nothing stands on it"),
    ("package_arrows", "node/journal/appender.py", "from node.flows.release import Release", "serves the flows"),
    ("package_arrows", "node/flows/release.py", "from node.app import build", "composition root"),
    ("package_arrows", "node/routes/bank.py", "from ..database import open_engine", "parses"),
    ("consent_core", "consent/permit.py", "from consent.sealing import seal", "core of the law"),
    ("third_parties", "consent/scope.py", "import msgspec", "msgspec may not"),
    ("third_parties", "consent/permit.py", "def f():\n    import yaml", "yaml may not"),
    ("third_parties", "node/flows/release.py", "from fastapi import HTTPException", "fastapi may not"),
    ("third_parties", "risk/binning.py", "import numpy as np", "no row"),
    ("third_parties", "node/routes/bank.py", "from sqlmodel import select", "sqlmodel may not"),
    ("third_parties", "node/tokens.py", "from joserfc import jwt", "joserfc may not"),
    ("third_parties", "node/probe.py", "import aiohttp.web", "aiohttp may not"),
    ("no_gmssl", "tests/consent/test_suite.py", "from gmssl.sm2 import CryptSM2", "gmssl"),
    ("no_hidden_arrows", "risk/a.py", "importlib.import_module('node.app')", "by name"),
    ("sizes", "node/a.py", "x = 1\n" * 301, "301 lines"),
    ("sizes", "deploy/sandbox/a.py", "async def long():\n" + "    await f()\n" * 50, "51 lines"),
    ("names", "node/utils.py", "", "utils"),
    ("names", "consent/grant_helpers.py", "", "grant_helpers"),
    ("names", "adapters/core/tax.py", "", "core"),
    ("names", "node/a.py", "class GrantManager: ...", "GrantManager"),
    ("names", "node/a.py", "class Base(SQLModel): ...", "Base"),
    ("docstrings", "node/a.py", "import os", "no module docstring"),
    ("docstrings", "consent/__init__.py", '"""The law."""\nfrom consent.permit import admit', "docstring only"),
    ("finished", "node/a.py", "# TODO later", "TODO"),
    ("finished", "node/a.py", '"""Good enough for now."""', "for now"),
    ("characters", "node/a.py", "n\u0430me = 1", "U+0430"),
    ("characters", "node/a.py", "s = 'a\u200bb'", "U+200B"),
    ("characters", "node/a.py", "# a\u202eb", "U+202E"),
    ("characters", "node/a.py", "# a\u00a0b", "U+00A0"),
    ("characters", "tests/a.py", "s = 'a\u202eb'", "U+202E"),
    ("characters", "tests/a.py", "# caf\u00e9", "U+00E9"),
    ("characters", "node/a.py", "\u6388\u6743 = 1", "U+6388"),
    ("clock", "consent/a.py", "now = datetime.now(UTC)", "datetime.now"),
    ("clock", "deploy/sandbox/a.py", "t = datetime.date.today()", "date.today"),
    ("clock", "node/a.py", "f = Field(default_factory=datetime.datetime.utcnow)", "utcnow"),
    ("clock", "node/a.py", "import time\nt = time.time()", "time.time"),
    ("clock", "node/a.py", "from time import time", "imports the clock"),
    ("environment", "node/app.py", "import os\nurl = os.environ['URL']", "environment"),
    ("environment", "adapters/a.py", "from os import getenv", "environment"),
    ("chance", "consent/permit.py", "import secrets", "secrets"),
    ("chance", "node/a.py", "import random\nx = random.choice(y)", "random.choice"),
    ("chance", "risk/a.py", "import random\nr = random.Random()", "random.Random"),
    ("chance", "risk/a.py", "from random import shuffle", "random.shuffle"),
    ("chance", "risk/a.py", "from random import Random\nr = Random()", "Random"),
    ("chance", "risk/a.py", "import os\nx = os.urandom(4)", "os.urandom"),
    ("chance", "risk/a.py", "from uuid import uuid4", "uuid4"),
    ("files", "consent/grant.py", "open('x')", "open"),
    ("files", "adapters/tax.py", "path.read_text()", "read_text"),
    ("files", "risk/assessment.py", "lzma.open(p, 'rt')", "lzma.open"),
    ("files", "risk/assessment.py", "p.open(encoding='utf-8')", "p.open"),
    ("files", "node/flows/a.py", "tempfile.mkdtemp()", "tempfile"),
    ("permits", "node/flows/release.py", "Permit(items=())", "makes a Permit"),
    ("permits", "tests/people.py", "permit_module.Permit(items=())", "makes a Permit"),
    ("permits", "adapters/tax.py", "dataclasses.replace(permit, items=())", "makes a Permit"),
    ("permits", "adapters/tax.py", "object.__new__(Permit)", "makes a Permit"),
    ("permits", "adapters/tax.py", "class Wide(Permit): ...", "inherits"),
    ("broad_except", "node/a.py", "try:\n    f()\nexcept Exception:\n    pass", "everything"),
    ("broad_except", "node/a.py", "try:\n    f()\nexcept:\n    pass", "everything"),
    ("broad_except", "risk/a.py", "try:\n    f()\nexcept (ValueError, BaseException):\n    pass", "everything"),
    ("broad_except", "node/a.py", "with contextlib.suppress(Exception):\n    f()", "everything"),
    ("broad_except", "node/routes/front.py", "try:\n    f()\nexcept Exception:\n    pass\n" * 2, "everything"),
    ("real_parts", "tests/a.py", "from unittest.mock import MagicMock", "mock"),
    ("real_parts", "tests/a.py", "from unittest import mock", "mock"),
    ("real_parts", "tests/a.py", "def test_a(mocker): ...", "mocker"),
    ("real_parts", "tests/a.py", "def test_a(monkeypatch):\n    monkeypatch.setattr(clock, 'now', f)", "patches"),
    ("real_parts", "tests/a.py", "app.dependency_overrides[f] = g", "overrides"),
    ("no_skips", "tests/a.py", "@pytest.mark.skipif(True, reason='x')\ndef test_a(): ...", "left out"),
    ("no_skips", "tests/a.py", "@pytest.mark.xfail\ndef test_a(): ...", "left out"),
    ("no_skips", "tests/a.py", "def test_a():\n    pytest.skip('no browser')", "left out"),
    ("no_skips", "tests/a.py", "np = pytest.importorskip('numpy')", "left out"),
    ("no_skips", "tests/a.py", "from pytest import skip", "left out"),
]


@pytest.mark.parametrize(("name", "path", "source", "piece"), SAMPLES)
def test_a_bad_sample_is_caught(name, path, source, piece):
    found = list(getattr(rules, name)(Module(path, source)))
    assert found, f"{name} let this pass:\n{source}"
    assert any(piece in one for one in found), found
    assert all(one.startswith(f"{path}:") for one in found)


def test_every_check_has_a_bad_sample():
    assert {name for name, *_ in SAMPLES} == {check.__name__ for check in rules.CHECKS}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("consent/permit.py", '"""Law."""\nfrom consent.scope import Scope\nPermit(items=())\n'),
        ("node/clock.py", '"""Clock."""\nfrom datetime import UTC, datetime\nnow = datetime.now(UTC)\n'),
        ("node/a.py", '"""A."""\nimport time\nstarted = time.monotonic()\nasync def f(source): await source.open()\n'),
        ("node/routes/bank.py", '"""A door, \u5bf9\u94f6\u884c\u3002"""\nfrom fastapi import APIRouter\n'),
        (
            "risk/validation.py",
            '"""V."""\nfrom random import Random\ndraw = Random(seed)\nclass Model: ...\n',
        ),
        ("tests/a.py", '"""T."""\nlook_alike = "\u0660"\n'),
        ("consent/__init__.py", '"""The law."""\n'),
        ("node/journal/appender.py", '"""Loop."""\ntry:\n    f()\nexcept Exception:\n    halt()\n'),
    ],
)
def test_a_good_sample_passes(path, source):
    assert [one for check in rules.CHECKS for one in check(Module(path, source))] == []


@pytest.mark.parametrize(
    "sources",
    [
        {"node/a.py": "from node import b", "node/b.py": "from node.a import x"},
        {"node/a.py": "import node.b", "node/b.py": "from node.c import x", "node/c.py": "def f():\n    import node.a"},
        {"node/a.py": "from node.b import x", "node/b.py": "if TYPE_CHECKING:\n    from node.a import y"},
        {"node/a.py": "from .b import x", "node/b.py": "from . import a"},
    ],
)
def test_a_circle_is_caught(sources):
    found = rules.circles(Module(path, text) for path, text in sources.items())
    assert len(found) == 1
    assert all(path.removesuffix(".py").replace("/", ".") in found[0] for path in sources)


def test_a_line_of_arrows_is_no_circle():
    sources = {"node/a.py": "from node.b import x", "node/b.py": "from node.c import x", "node/c.py": "import json"}
    assert rules.circles(Module(path, text) for path, text in sources.items()) == []


def test_an_idle_setting_is_caught():
    settings = Module("node/settings.py", "class Settings:\n    port: int\n    host: str\n    ghost: str = ''\n")
    reader = Module("node/cli.py", "bind(settings.host, settings.port)")
    explained = "# Where it listens.\nhost = '127.0.0.1'\n# ghost = ''\n"
    found = rules.idle_settings(settings, [reader], explained)
    assert [one.partition(": ")[2] for one in found] == ["deploy/node.toml does not show port", "no code reads ghost"]


@pytest.mark.parametrize(
    "line",
    ["see https://py" + "pi.org/simple", "--index" + "-url x", "cd /ro" + "ot/project", "path = '/wo" + "rk/main/x'"],
)
def test_an_address_is_caught(line):
    assert rules.addresses("README.md", f"fine\n{line}\n")[0].startswith("README.md:2:")


def test_a_pin_without_a_hash_is_caught():
    assert rules.pins("a==1 \\\n    --hash=sha256:00\nb==2 \\\n    --hash=sha256:01\n") == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match="no hash: b"):
        rules.pins("a==1 \\\n    --hash=sha256:00\nb==2\n")


@pytest.mark.parametrize(
    ("body", "piece"),
    [
        ("import socket\nsocket.socket().close()", "socket."),
        ("import pathlib\ntext = (pathlib.Path(__file__).parent / 'data.txt').read_text()", "data.txt"),
        ("import tempfile\ntempfile.mkstemp()", "tempfile."),
        ("import sqlite3\nsqlite3.connect(':memory:')", "sqlite3.connect"),
        ("import sqlalchemy\nengine = sqlalchemy.create_engine('sqlite://')", "Engine"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(3,), daemon=True).start()", "thread"),
        ("import numpy", "not part of the runtime"),
    ],
)
def test_an_act_at_import_is_caught(tmp_path, body, piece):
    package = tmp_path / "parcel"
    package.mkdir()
    package.joinpath("__init__.py").write_text("")
    package.joinpath("data.txt").write_text("x")
    package.joinpath("quiet.py").write_text("import json\nimport sqlite3\n")
    package.joinpath("loud.py").write_text(dedent(body))
    assert probe(tmp_path, ["parcel", "parcel.quiet"]).stdout.strip() == ""
    run = probe(tmp_path, ["parcel", "parcel.loud"])
    assert run.returncode == 1
    assert piece in run.stdout
