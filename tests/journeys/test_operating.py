"""What an operator meets: doctor, serve that refuses, settings that are refused, and a log that tells nothing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from deploy.sandbox.stage import free_port, write_private
from node import schema
from node.cli_run import new_keys
from tests.journeys.actors import SENTINEL, Scene, xyd
from tests.journeys.test_demo_command import xyd as xyd_process

SECRET = "a-secret-nobody-may-print"


def settings(folder: Path, *more: str, **changes: str) -> Path:
    """A settings file of a node that could serve, but for what is changed; "" leaves a key out."""
    new_keys(folder / "keys")
    values = {
        "profile": '"sandbox"',
        "node_id": '"xyd.test.example"',
        "node_name": '"测试节点"',
        "port": str(free_port()),
        "operator_port": str(free_port()),
        "database": f'"sqlite:///{folder / "node.db"}"',
        "valkey": f'"embedded:{folder / "valkey"}"',
        "journal_key": f'"{folder / "keys" / "journal.key"}"',
        "sealing_key": f'"{folder / "keys" / "sealing.key"}"',
        "regulator_token": f'"{SECRET}"',
    }
    values["issuer"] = f'"http://localhost:{values["port"]}"'
    values |= changes
    lines = [f"{name} = {value}" for name, value in values.items() if value]
    lines += [*more, "[departments]", *(f'{name} = "http://127.0.0.1:9"' for name in DEPARTMENTS)]
    lines += ["[department_keys]", *(f'{name} = "{SECRET}"' for name in DEPARTMENTS)]
    path = folder / "node.toml"
    write_private(path, "\n".join(lines) + "\n")
    return path


DEPARTMENTS = ("tax", "social_insurance", "utility", "registration")


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """A folder with a migrated database."""
    asyncio.run(schema.migrate(f"sqlite:///{tmp_path / 'node.db'}"))
    return tmp_path


def test_doctor_finds_nothing_wrong_with_a_good_node(migrated: Path) -> None:
    run = xyd("doctor", "--config", settings(migrated))
    assert (run.code, "✗" in run.out) == (0, False), run


def test_doctor_finds_nothing_wrong_with_the_running_sandbox(scene: Scene) -> None:
    assert xyd("doctor", "--config", scene.stage.config).code == 0


@pytest.mark.parametrize(
    ("more", "changes", "named"),
    [
        (["bank_rate_per_sec = 3"], {}, "bank_rate_per_sec"),
        ([], {"issuer": '"http://elsewhere.example"'}, "issuer"),
        ([], {"regulator_token": ""}, "regulator_token"),
        ([], {"port": '"many"'}, "port"),
        ([], {"journal_key": '"/nowhere/journal.key"'}, "journal.key"),
        ([], {"valkey": '"unix:///nowhere/valkey.sock"'}, "valkey"),
        ([], {"database": '"postgresql://nobody@127.0.0.1:9/x"'}, "database"),
        ([], {"database": '"mysql://x"'}, "database"),
        (["this is = not = toml"], {}, "settings"),
    ],
    ids=str,
)
def test_doctor_names_what_is_wrong_and_prints_no_secret(
    migrated: Path, more: list[str], changes: dict[str, str], named: str
) -> None:
    run = xyd("doctor", "--config", settings(migrated, *more, **changes))
    assert run.code == 1 and run.crash is None, run
    line = next(line for line in run.out.splitlines() if "✗" in line)
    assert named in line and SECRET not in run.out + run.err


def test_doctor_names_a_key_file_that_others_may_read_and_a_database_without_tables(tmp_path: Path) -> None:
    config = settings(tmp_path)
    (tmp_path / "keys" / "sealing.key").chmod(0o644)
    run = xyd("doctor", "--config", config)
    wrong = [line for line in run.out.splitlines() if "✗" in line]
    assert run.code == 1 and len(wrong) == 2 and "chmod 600" in wrong[0] and "migrate" in wrong[1], run.out
    assert xyd("doctor", "--config", tmp_path / "nothing.toml").code == 1


def test_serve_refuses_a_database_without_tables_and_says_how_to_mend_it(tmp_path: Path) -> None:
    run = xyd_process("serve", "--config", str(settings(tmp_path)))
    assert run.returncode == 2 and "migrate" in run.stderr and "Traceback" not in run.stderr
    assert xyd("migrate", "--config", tmp_path / "node.toml").code == 0
    assert xyd("doctor", "--config", tmp_path / "node.toml").code == 0


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_an_unknown_settings_key_is_refused_by_name_without_its_value(tmp_path: Path, command: str) -> None:
    config = settings(tmp_path, f'regulator_tokn = "{SENTINEL}"')
    run = xyd(command, "--config", config)
    assert run.code not in (0, None) and run.crash is None, repr(run)[:600]
    assert "regulator_tokn" in run.err and SENTINEL not in run.err + run.out and SECRET not in run.err + run.out


def test_keys_are_made_once_and_never_overwritten(tmp_path: Path) -> None:
    first = xyd("keys", "make", tmp_path / "keys")
    before = [path.read_bytes() for path in sorted((tmp_path / "keys").iterdir())]
    second = xyd("keys", "make", tmp_path / "keys")
    assert (first.code, second.code, len(first.out.splitlines()), second.out) == (0, 0, 2, "")
    assert [path.read_bytes() for path in sorted((tmp_path / "keys").iterdir())] == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "keys").iterdir())


def test_a_bank_enrolled_from_a_file_is_refused_with_a_reason_when_it_cannot_be(scene: Scene, tmp_path: Path) -> None:
    good = scene.banks[0].enrolment() | {"client_id": "bank-from-file"}
    private = scene.banks[0].key.as_dict(private=True)
    cases = [
        (good, 0),
        (good, 1),
        (good | {"client_id": "银行"}, 1),
        (good | {"client_id": "b2", "name": "x\u202ey"}, 1),
        (good | {"client_id": "b2", "redirect_uris": ["http://evil.example/"]}, 1),
        (good | {"client_id": "b2", "purposes": ["ANYTHING"]}, 1),
        (good | {"client_id": "b2", "jwks": {"keys": [private]}}, 1),
        (good | {"client_id": "b2", "alg": "HS256"}, 1),
        (good | {"client_id": "b2", "unknown": 1}, 1),
        ({"client_id": "b2"}, 1),
    ]
    for body, code in cases:
        file = tmp_path / "bank.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        run = xyd("enrol", "bank", "--config", scene.stage.config, file)
        assert (min(run.code, 1), run.crash) == (code, None), (body["client_id"], run)
        assert private["d"] not in run.out + run.err


def test_the_operators_door_tells_health_and_no_personal_datum(scene: Scene) -> None:
    metrics = scene.parties["metrics"]
    for path in ("livez", "readyz"):
        assert scene.http.get(metrics.replace("metrics", path)).status_code == 200
    text = scene.http.get(metrics).text
    assert "xyd_" in text and scene.trail.found_in(text) == []
    assert scene.http.get(f"{scene.stage.issuer}/metrics").status_code == 404


def test_the_nodes_log_holds_one_json_line_per_call_and_nothing_the_session_knew(scene: Scene) -> None:
    given = scene.consented()
    answer = scene.call(given, headers={"X-Interaction-Id": "interaction-in-the-log"})
    assert answer.status_code == 200
    scene.call(
        given, given.body | {"purpose": "OTHER", "x": SENTINEL}, headers={"X-Interaction-Id": "refused-in-the-log"}
    )
    scene.withdraw(given)
    time.sleep(0.5)  # lines are flushed a quarter of a second later
    text = (scene.stage.folder / "logs" / "node.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    (good,) = [line for line in lines if line.get("interaction_id") == "interaction-in-the-log"]
    assert (good["door"], good["status"], good["log"]) == ("queries", 200, "xyd.request")
    (bad,) = [line for line in lines if line.get("interaction_id") == "refused-in-the-log"]
    assert (bad["status"], bad["code"]) == (400, "request.invalid")
    assert scene.trail.found_in(text) == [] and len(scene.trail.words) > 20
    assert {line["level"] for line in lines} <= {"INFO", "WARNING"}
