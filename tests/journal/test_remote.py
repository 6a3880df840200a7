"""Verification over HTTP, from a real loopback server."""

from collections.abc import Iterator

import httpx
import pytest

from node.journal.remote import HttpLog, Unreachable, verify_remote
from node.journal.tiles import ENTRIES, Address
from tests.journal.loopback import serving
from tests.journal.sample import OTHER, SIGNER, lawful_story, serve

STORY = lawful_story(600).entries
FILES = serve(STORY)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client


def test_with_a_token_every_step_is_made(client: httpx.Client) -> None:
    with serving(FILES, token="t0ken") as prefix:
        report = verify_remote(client, prefix, vkey=SIGNER.vkey, token="t0ken")
    assert report.ok and report.complete and report.laws is not None and report.laws.lawful


def test_without_a_token_the_laws_are_said_to_be_unchecked(client: httpx.Client) -> None:
    with serving(FILES, token="t0ken") as prefix:
        report = verify_remote(client, prefix + "/", vkey=SIGNER.vkey)
    assert report.ok and not report.complete
    assert [(c.id, c.ok) for c in report.checks[-2:]] == [("leaves", None), ("laws", None)]
    assert all("not checked" in c.en and "未检查" in c.zh for c in report.checks[-2:])


def test_a_wrong_token_or_key_is_not_passed_over(client: httpx.Client) -> None:
    with serving(FILES, token="t0ken") as prefix:
        with pytest.raises(Unreachable, match="401"):
            verify_remote(client, prefix, vkey=SIGNER.vkey, token="wrong")
        assert not verify_remote(client, prefix, vkey=OTHER.vkey).ok


def test_a_forged_tile_is_found(client: httpx.Client) -> None:
    for path in FILES:
        if path.startswith("tile") and "entries" not in path:
            data = FILES[path]
            with serving({**FILES, path: data[:-1] + bytes([data[-1] ^ 1])}) as prefix:
                assert not verify_remote(client, prefix, vkey=SIGNER.vkey).ok
                assert not verify_remote(client, prefix, vkey=SIGNER.vkey, token="any").ok


def test_a_log_that_grew_meanwhile_still_verifies(client: httpx.Client) -> None:
    """Partial tiles may be gone once full ones exist: the reader takes the beginning of the full one."""
    old = serve(STORY[:500])
    grown = {**FILES, "checkpoint": old["checkpoint"]}
    assert "tile/0/001.p/244" not in grown
    grown["tile/1/000.p/1"] = old["tile/1/000.p/1"]
    with serving(grown) as prefix:
        report = verify_remote(client, prefix, vkey=SIGNER.vkey, token="any")
        assert report.ok and report.complete
        assert HttpLog(client, prefix).read(Address(ENTRIES, 0, 3).path) is not None


def test_other_answers_are_not_content(client: httpx.Client) -> None:
    with serving({"checkpoint": b"x" * 1_000_001, "tile/0/000": b"x" * 8193}) as prefix:
        log = HttpLog(client, prefix)
        assert log.read("tile/0/001") is None
        for path in ("checkpoint", "tile/0/000"):
            with pytest.raises(Unreachable, match="more than"):
                log.read(path)
        with pytest.raises(Unreachable, match="302"):
            log._get("moved", 10)
    with pytest.raises(Unreachable):
        log.read("checkpoint")
