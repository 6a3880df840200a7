"""The log as the public and a regulator read it over HTTP (C2SP tlog-tiles), checked by two verifiers."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import aics_tlog
import httpx
import pytest

from consent.enterprise import issue_fictitious
from node.cli_run import with_enrol
from node.flows.enrol import Enrol
from node.journal.checkpoint import open_checkpoint
from node.journal.merkle import verify_consistency
from node.journal.note import Verifier
from node.journal.remote import verify_remote
from node.journal.tiles import addresses, decode_bundle
from node.settings import load
from tests.journeys.actors import Scene, xyd

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module", autouse=True)
def grown(scene: Scene) -> int:
    """The log has a full tile and a partial one; its size."""

    async def work(enrol: Enrol) -> None:
        firms = [issue_fictitious(50_000_000 + number) for number in range(280)]
        scene.trail.learn(*firms)
        await asyncio.gather(*[enrol.enterprise(firm, f"甲乙丙{firm[8:16]}有限公司") for firm in firms])

    scene.consented()
    asyncio.run(with_enrol(load(scene.stage.config), work))
    return size_of(scene)


def size_of(scene: Scene) -> int:
    """The newest checkpoint's size."""
    return int(scene.log("checkpoint").text.splitlines()[1])


def token_of(scene: Scene) -> str:
    """The regulator's token."""
    return str(scene.parties["regulator"]["token"])


def test_the_checkpoint_is_a_signed_note_that_is_never_cached(scene: Scene) -> None:
    answer = scene.log("checkpoint")
    assert (
        answer.headers["content-type"] == "text/plain; charset=utf-8" and answer.headers["cache-control"] == "no-cache"
    )
    head, _ = open_checkpoint(answer.content, Verifier(scene.parties["log"]["vkey"]))
    assert head.origin == scene.parties["log"]["origin"] and head.size > 256


def test_full_tiles_are_immutable_and_partial_ones_are_not(scene: Scene, grown: int) -> None:
    full = scene.log("tile/0/000")
    assert (full.status_code, len(full.content), full.headers["cache-control"]) == (200, 256 * 32, IMMUTABLE)
    assert full.headers["content-type"] == "application/octet-stream"
    for width in (1, 100, 255):
        part = scene.log(f"tile/0/000.p/{width}")
        assert (part.status_code, part.content) == (200, full.content[: width * 32])
        assert "immutable" not in part.headers["cache-control"] and "max-age" in part.headers["cache-control"]
    count, rest = divmod(grown, 256)
    if rest:
        last = scene.log(f"tile/0/{count:03d}.p/{rest}")
        assert (last.status_code, len(last.content)) == (200, rest * 32)
    top = scene.log(f"tile/1/000.p/{count}")
    assert (top.status_code, len(top.content)) == (200, count * 32)


def test_a_tile_the_tree_does_not_reach_is_404_until_it_does(scene: Scene) -> None:
    count, rest = divmod(size_of(scene), 256)
    for path in (f"tile/0/{count:03d}", f"tile/0/{count:03d}.p/{rest + 1}", f"tile/1/000.p/{count + 1}"):
        assert scene.log(path).status_code == 404, path


@pytest.mark.parametrize(
    "path",
    [
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/x000/000",
        "tile/0/999",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/63/000.p/1",
        "tile/64/000.p/1",
        "tile/-1/000",
        "tile/0/000/",
        "tile/0/000%2Ep/1x",
        "tile/0/%30%30%30x",
        "tile/%E4%B8%AD/000",
        "tile/0/../../checkpoint/x",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000%00",
        "tile/0/０００",
        "tile/0/000.p/１",
        "nothing",
        "",
    ],
)
def test_what_the_log_does_not_have_is_404(scene: Scene, path: str) -> None:
    answer = scene.log(path)
    assert answer.status_code == 404, answer.text[:200]
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    "year", ["0", "1999", "2100", "9999", "-1", "99999999999999999999", "x", "二〇二六", "%00", "1e3"]
)
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/entries/000", "policy", "consistency?from=0&to=1"])
def test_a_year_without_a_log_has_nothing(scene: Scene, year: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {token_of(scene)}"}
    answer = scene.http.get(f"{scene.stage.issuer}/log/{year}/{path}", headers=headers)
    assert answer.status_code in (400, 404), answer.text[:200]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer 令牌", "bearer  {}", "Bearer {} {}"],
)
def test_entries_need_the_regulators_token(scene: Scene, authorization: str | None) -> None:
    token = token_of(scene)
    given = None if authorization is None else authorization.replace("{}", token).encode()
    headers = [] if given is None else [(b"Authorization", given)]
    for path in ("tile/entries/000", "tile/entries/000.p/3", "tile/entries/999", "tile/entries/"):
        answer = scene.http.get(f"{scene.parties['log']['prefix']}/{path}", headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert scene.log("tile/0/000").status_code == 200


@pytest.mark.parametrize("path", ["tile//entries/000", "tile/./entries/000", "tile/Entries/000", "tile/%65ntries/000"])
def test_no_spelling_of_the_path_gets_around_the_token(scene: Scene, path: str) -> None:
    request = scene.http.build_request("GET", scene.parties["log"]["prefix"])
    request.url = httpx.URL(scene.parties["log"]["prefix"]).copy_with(
        raw_path=f"{httpx.URL(scene.parties['log']['prefix']).path}/{path}".encode()
    )
    answer = scene.http.send(request)
    assert answer.status_code in (401, 404) and b"kind" not in answer.content


def test_with_the_token_entries_are_leaves_that_name_nobody_and_no_proxy_keeps(scene: Scene) -> None:
    answer = scene.log("tile/entries/000", token_of(scene))
    assert answer.status_code == 200 and answer.headers["cache-control"].startswith("private")
    leaves = decode_bundle(answer.content)
    assert len(leaves) == 256 and all(leaf.isascii() for leaf in leaves)
    text = b"\n".join(leaves).decode()
    personal = [firm[each] for firm in scene.parties["scenarios"] for each in ("uscc", "name")]
    personal += [scene.parties[who][each] for who in ("player", "signatory") for each in ("mobile", "passcode", "id")]
    assert not [word for word in personal if re.search(rf"(?<![0-9a-f]){re.escape(word)}(?![0-9a-f])", text)]
    assert json.loads(leaves[0])["kind"] == "OPEN"


def test_counters_of_every_subject_have_no_gap(scene: Scene) -> None:
    counters: dict[str, list[int]] = {}
    for entry in scene.entries():
        if entry["sub"]:
            counters.setdefault(entry["sub"], []).append(entry["seq"])
    assert counters and all(each == list(range(1, len(each) + 1)) for each in counters.values())


def test_two_checkpoints_are_consistent_by_the_proof_the_log_gives(scene: Scene) -> None:
    vkey = Verifier(scene.parties["log"]["vkey"])
    old, _ = open_checkpoint(scene.log("checkpoint").content, vkey)
    scene.consented()
    new, _ = open_checkpoint(scene.log("checkpoint").content, vkey)
    assert new.size > old.size
    told = scene.log(f"consistency?from={old.size}&to={new.size}").json()
    path = [base64.b64decode(each) for each in told["path"]]
    verify_consistency(old.size, new.size, path, old_root=old.root, new_root=new.root)
    assert (told["from"], told["to"]) == (old.size, new.size)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("from=1", 400),
        ("from=a&to=b", 400),
        ("from=-1&to=2", 400),
        ("from=1.5&to=2", 400),
        ("from=１&to=2", 400),
        ("from=2&to=1", 404),
        ("from=0&to=999999999999999", 404),
        (f"from=1&to={'9' * 400}", 400),
        ("from=%00&to=1", 400),
    ],
    ids=str,
)
def test_a_consistency_proof_nobody_can_give_is_refused(scene: Scene, query: str, status: int) -> None:
    assert scene.log(f"consistency?{query}").status_code == status


def test_policy_card_and_parties_name_the_same_key(scene: Scene) -> None:
    vkey = scene.parties["log"]["vkey"]
    assert scene.log("policy").text == f"log {vkey}\nquorum none\n"
    assert scene.http.get(f"{scene.stage.issuer}/.well-known/xyd").json()["logs"][-1]["vkey"] == vkey


def test_an_outsider_verifies_the_tree_and_a_regulator_the_laws_too(scene: Scene) -> None:
    parties = scene.parties["log"]
    with httpx.Client(timeout=20, trust_env=False) as client:
        outside = verify_remote(client, parties["prefix"], vkey=parties["vkey"])
        inside = verify_remote(client, parties["prefix"], vkey=parties["vkey"], token=token_of(scene))
    assert outside.ok and not outside.complete and inside.ok and inside.complete
    assert inside.laws is not None and not inside.laws.violations
    assert inside.checkpoint is not None and inside.checkpoint.size == size_of(scene)


def test_another_verifier_accepts_the_log_as_served(scene: Scene) -> None:
    note = aics_tlog.parse_note(scene.log("checkpoint").text)
    assert aics_tlog.verify_checkpoint(note, aics_tlog.parse_vkey(scene.parties["log"]["vkey"])).ok
    head = aics_tlog.parse_checkpoint(note.text)
    files = {each.path: scene.log(each.path, token_of(scene)).content for each in addresses(head.size)}
    aics_tlog.audit_tiles(aics_tlog.MemoryTileReader(files), head.size, head.root)


def test_xyd_verify_of_an_address_says_how_far_it_checked(scene: Scene) -> None:
    log = scene.parties["log"]
    public = xyd("verify", log["prefix"], "--vkey", log["vkey"])
    assert (public.code, "HOLDS AS FAR AS CHECKED" in public.out) == (0, True), public
    whole = xyd("verify", log["prefix"] + "/", "--vkey", log["vkey"], "--token", token_of(scene))
    assert (whole.code, " VERIFIED" in whole.out) == (0, True), whole
    stated = xyd("verify", log["prefix"])
    assert stated.code == 0 and "no --vkey given" in stated.err


def test_xyd_verify_refuses_another_key_a_wrong_token_and_an_address_without_a_log(scene: Scene) -> None:
    log = scene.parties["log"]
    other = xyd("verify", log["prefix"], "--vkey", log["vkey"][:-8] + "AAAAAAA=")
    assert other.code != 0 and other.crash is None, other
    for target, more in (
        (log["prefix"], ["--token", "wrong"]),
        (scene.stage.issuer + "/log/1999", []),
        (scene.stage.issuer, []),
        ("http://127.0.0.1:9", []),
        ("http://127.0.0.1:9", ["--vkey", log["vkey"]]),
    ):
        run = xyd("verify", target, *(["--vkey", log["vkey"]] if more[:1] == ["--token"] else []), *more)
        assert run.code in (1, 2) and run.crash is None and run.err + run.out, (target, more, run)
