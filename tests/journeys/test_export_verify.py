"""`xyd export` and `xyd verify`: a bundle proves itself, and no byte of it can be changed."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import pytest

from tests.journeys.actors import Scene, xyd
from tests.journeys.test_demo_command import xyd as xyd_process

SEED = 20_261_123
PLACES = 60


@pytest.fixture(scope="module")
def bundle(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence bundle of the running node, by the command."""
    given = scene.consented()
    assert scene.call(given).status_code == 200
    scene.withdraw(given)
    out = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    run = xyd("export", "--dir", scene.stage.folder, "--out", out)
    assert run.code == 0 and str(out) in run.out, run
    return out


def members(data: bytes) -> dict[str, tuple[int, int]]:
    """Where each member's bytes stand in the file."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            start = info.header_offset + 30 + len(info.filename)
            found[info.filename] = (start, start + info.file_size)
    return found


def refused(path: Path, data: bytes, *more: str) -> None:
    """The command refuses these bytes and says so."""
    path.write_bytes(data)
    run = xyd("verify", path, *more)
    assert (run.code, run.crash) == (1, None), run
    assert "REFUSED" in run.out and "VERIFIED" not in run.out


def test_a_fresh_bundle_verifies_in_a_process_of_its_own(scene: Scene, bundle: Path) -> None:
    run = xyd_process("verify", str(bundle), "--vkey", scene.parties["log"]["vkey"])
    assert run.returncode == 0 and "VERIFIED" in run.stdout, run.stdout + run.stderr
    assert scene.parties["log"]["origin"] in run.stdout and run.stdout.count("✓") >= 7


def test_without_a_key_the_bundles_own_is_used_and_that_is_said(bundle: Path) -> None:
    run = xyd("verify", bundle)
    assert run.code == 0 and "HOLDS AS FAR AS CHECKED" in run.out and "VERIFIED" not in run.out, run


def test_a_changed_byte_in_any_member_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    places = members(data)
    assert {"checkpoint", "policy", "manifest", "manifest.sig"} < set(places)
    for start, end in places.values():
        for at in {start, (start + end) // 2, end - 1}:
            changed = bytearray(data)
            changed[at] ^= 1
            refused(tmp_path / "changed.zip", bytes(changed))


def test_a_changed_byte_anywhere_is_refused(scene: Scene, bundle: Path, tmp_path: Path) -> None:
    data, dice = bundle.read_bytes(), random.Random(SEED)
    for _ in range(PLACES):
        changed = bytearray(data)
        changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        refused(tmp_path / "changed.zip", bytes(changed), "--vkey", scene.parties["log"]["vkey"])


def test_a_bundle_with_more_or_less_in_it_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    for changed in (data + b"\x00", b"\x00" + data, data[:-1], data[: len(data) // 2], b"", b"PK", data + data):
        refused(tmp_path / "changed.zip", changed)
    for name in members(data):
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
            for each in old.namelist():
                if each != name:
                    new.writestr(each, old.read(each))
        refused(tmp_path / "changed.zip", buffer.getvalue())


def test_a_bundle_of_another_log_is_refused_under_this_logs_key(bundle: Path, scene: Scene) -> None:
    other = "xyd.other.example/log/2026+00000000+" + scene.parties["log"]["vkey"].rpartition("+")[2]
    run = xyd("verify", bundle, "--vkey", other)
    assert run.code != 0 and run.crash is None, run


def test_a_receipt_verifies_alone_and_not_after_a_change(scene: Scene, tmp_path: Path) -> None:
    answer = scene.call(scene.consented())
    file, vkey = tmp_path / "answer.json", scene.parties["log"]["vkey"]
    file.write_bytes(answer.content)
    run = xyd("verify", file, "--vkey", vkey)
    assert run.code == 0 and "VERIFIED" in run.out, run
    told = answer.json()
    told["data"]["legs"][0]["records"][0]["usage"] = "1.000"
    refused(file, json.dumps(told).encode(), "--vkey", vkey)
    told = answer.json()
    told["receipt"]["index"] += 1
    refused(file, json.dumps(told).encode(), "--vkey", vkey)
    for broken in (b"{}", b"[]", b"\xff", b"", b"{" * 3000):
        refused(file, broken, "--vkey", vkey)


def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, scene: Scene) -> None:
    for arguments in (
        ["verify", tmp_path / "nothing.zip"],
        ["verify", tmp_path],
        ["export", "--dir", tmp_path / "nowhere", "--out", tmp_path / "x.zip"],
        ["export", "--dir", scene.stage.folder, "--out", tmp_path / "no" / "folder" / "x.zip"],
        ["export", "--dir", scene.stage.folder, "--out", tmp_path / "x.zip", "--year", "1999"],
    ):
        run = xyd(*arguments)
        assert run.code != 0 and run.crash is None and run.out + run.err, (arguments, run)
