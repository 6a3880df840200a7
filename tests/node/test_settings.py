"""Settings: closed keys, no default for a secret, key files that others cannot read."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from node.app import Secrets
from node.settings import Settings, load, read_secret

ROOT = Path(__file__).parents[2]
COMPLETE = {
    "node_id": "xyd.test.example",
    "node_name": "测试节点",
    "issuer": "https://xyd.example.gov.cn",
    "database": "sqlite:///node.db",
    "valkey": "unix:///run/v.sock",
    "journal_key": "journal.key",
    "sealing_key": "sealing.key",
    "regulator_token": "only-for-the-regulator",
}
SECRET = ("database", "valkey", "journal_key", "sealing_key", "regulator_token")


def written(folder: Path, values: dict[str, object], tail: str = "") -> Path:
    """A settings file."""
    path = folder / "node.toml"
    lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in values.items()]
    path.write_text("\n".join([*lines, tail]), encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    """The keys that are refused."""
    with pytest.raises(ValidationError) as caught:
        load(path)
    return [".".join(map(str, error["loc"])) for error in caught.value.errors()]


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    settings = load(written(tmp_path, COMPLETE, '[departments]\ntax = "http://t"\n[department_keys]\ntax = "k"'))
    assert (settings.profile, settings.rp_id, settings.host) == ("production", "xyd.example.gov.cn", "127.0.0.1")
    assert settings.departments == {"tax": "http://t"}


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    assert refused(written(tmp_path, COMPLETE | {"bank_rate_per_sec": 5})) == ["bank_rate_per_sec"]
    assert "sandbox" in refused(written(tmp_path, COMPLETE, "[sandbox]\nopen = true"))


@pytest.mark.parametrize("key", [*SECRET, "node_id", "node_name", "issuer"])
def test_nothing_that_names_or_opens_the_node_has_a_default(tmp_path: Path, key: str) -> None:
    assert refused(written(tmp_path, {name: value for name, value in COMPLETE.items() if name != key})) == [key]


@pytest.mark.parametrize("profile", ["sandbox", "production"])
def test_no_profile_brings_a_secret_of_its_own(tmp_path: Path, profile: str) -> None:
    bare = {"profile": profile, "node_id": "a.b.c", "node_name": "名称", "issuer": "https://a.example"}
    assert set(refused(written(tmp_path, bare))) == set(SECRET)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XYD_PORT", "9999")
    monkeypatch.setenv("XYD_REGULATOR_TOKEN", "from-the-environment")
    monkeypatch.setenv("XYD_DEPARTMENTS__TAX", "http://elsewhere")
    settings = load(written(tmp_path, {name: value for name, value in COMPLETE.items() if name != "regulator_token"}))
    assert (settings.port, settings.departments) == (9999, {"tax": "http://elsewhere"})
    assert settings.regulator_token.get_secret_value() == "from-the-environment"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("issuer", "http://xyd.example.gov.cn"),
        ("issuer", "https://xyd.example.gov.cn/"),
        ("issuer", "https://xyd.example.gov.cn?x=1"),
        ("issuer", "xyd.example.gov.cn"),
        ("database", "mysql://x"),
        ("valkey", "http://x"),
        ("node_id", "Not A Name"),
        ("profile", "debug"),
        ("port", 70_000),
        ("query_deadline_ms", 1),
        ("answers_kept_s", 86_401),
        ("append_queue", 0),
    ],
)
def test_a_value_that_would_do_harm_is_refused(tmp_path: Path, key: str, value: object) -> None:
    assert refused(written(tmp_path, COMPLETE | {key: value})) == [key] or key in ("database", "valkey")


def test_production_never_speaks_plain_http(tmp_path: Path) -> None:
    plain = COMPLETE | {"issuer": "http://localhost:8080"}
    refused(written(tmp_path, plain | {"profile": "production"}))
    assert load(written(tmp_path, plain | {"profile": "sandbox"})).rp_id == "localhost"


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    settings = load(written(tmp_path, COMPLETE, '[department_keys]\ntax = "key-of-the-tax-bureau"'))
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert "only-for-the-regulator" not in shown and "key-of-the-tax-bureau" not in shown


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = load(written(tmp_path, COMPLETE))
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "journal.key"
    key.write_text("ab" * 32)
    key.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        read_secret(key)
    key.chmod(0o600)
    assert read_secret(key) == b"ab" * 32


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 31, "ab" * 33])
def test_a_key_of_another_length_is_refused_before_anything_is_signed(tmp_path: Path, text: str) -> None:
    for name in ("journal.key", "sealing.key"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
    files = {"journal_key": str(tmp_path / "journal.key"), "sealing_key": str(tmp_path / "sealing.key")}
    with pytest.raises(ValueError):
        Secrets.read(load(written(tmp_path, COMPLETE | files)))


def test_the_commented_file_is_a_settings_file(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "node.toml").read_text(encoding="utf-8")
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    assert refused(path) == ["regulator_token"], "the one secret that is not a path"
    path.write_text(re.sub(r'^# (regulator_token = )""', r'\1"t"', text, flags=re.MULTILINE), encoding="utf-8")
    found = load(path)
    shown = set(Settings.model_fields) & set(re.findall(r"^#? ?\[?(\w+)", text, re.MULTILINE))
    assert shown == set(Settings.model_fields) and found.profile == "production"
