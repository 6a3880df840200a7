"""An evidence bundle has one byte form; any other file is refused."""

import io
import json
import random
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.canonical import canonical
from node.journal.bundle import About, make_zip, policy_text, policy_vkey, read_bundle, verify_bundle, write_bundle
from node.journal.checkpoint import sign_checkpoint
from node.journal.errors import BundleRefused, NoteRefused
from tests.journal.sample import OTHER, SIGNER, Story, digest, lawful_story, serve

ABOUT = About("node-1", "2026.11-r1")
FILES = serve(lawful_story(300).entries)
DATA = write_bundle(FILES.get, SIGNER, ABOUT)
MEMBERS = dict(read_bundle(DATA).members)


def refused(data: bytes) -> None:
    """Refused with the key pinned, and also with the key the bundle itself brings."""
    for vkey in (SIGNER.vkey, None):
        with pytest.raises(BundleRefused):
            read_bundle(data, vkey)
        report = verify_bundle(data, vkey)
        assert not report.ok and not report.complete and report.checks[0].ok is False


def test_a_true_bundle_passes() -> None:
    for vkey, source in ((SIGNER.vkey, "pinned"), (None, "bundle")):
        bundle = read_bundle(DATA, vkey)
        assert bundle.trust == (SIGNER.vkey, source) and bundle.checkpoint.size == 300
        report = verify_bundle(DATA, vkey)
        assert report.ok and report.complete
        assert [check.id for check in report.checks] == [
            "file", "checkpoint", "entries", "root", "tiles", "leaves", "laws",
        ]  # fmt: skip
    assert write_bundle(FILES.get, SIGNER, ABOUT) == DATA


def test_what_stands_in_it() -> None:
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert names == sorted(names)
    assert set(names) == set(FILES) | {"policy", "manifest", "manifest.sig"}
    assert MEMBERS["policy"].decode() == f"log {SIGNER.vkey}\nquorum none\n"
    manifest = json.loads(MEMBERS["manifest"])
    assert (manifest["origin"], manifest["size"], manifest["node"]) == (SIGNER.name, 300, "node-1")
    assert set(manifest["members"]) == set(names) - {"manifest", "manifest.sig"}


def test_the_empty_log_has_a_bundle() -> None:
    assert verify_bundle(write_bundle(serve([]).get, SIGNER, ABOUT)).ok


def test_a_log_with_a_broken_law_is_carried_and_reported() -> None:
    story = Story()
    story.release()
    report = verify_bundle(write_bundle(serve(story.entries).get, SIGNER, ABOUT), SIGNER.vkey)
    assert [check.id for check in report.checks if check.ok is False] == ["laws"]


def test_a_bundle_is_not_written_from_half_a_log() -> None:
    for path in FILES:
        less = {name: data for name, data in FILES.items() if name != path}
        with pytest.raises(BundleRefused):
            write_bundle(less.get, SIGNER, ABOUT)
    with pytest.raises(NoteRefused):
        write_bundle(FILES.get, OTHER, ABOUT)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_flipped_byte_of_a_member_is_refused_though_the_zip_is_made_anew(name: str) -> None:
    rng = random.Random(name)
    data = MEMBERS[name]
    for at in {0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(12))}:
        for bit in (1, 0x20, 0x80):
            bad = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            refused(make_zip({**MEMBERS, name: bad}))


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_missing_member_is_refused(name: str) -> None:
    refused(make_zip({other: data for other, data in MEMBERS.items() if other != name}))


@pytest.mark.parametrize(
    "name", ["extra", "../evil", "/evil", "tile/0/001.p/45", "tile/1/001", "Checkpoint", "policy ", "tile"]
)
def test_an_extra_member_is_refused(name: str) -> None:
    refused(make_zip({**MEMBERS, name: b"x"}))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_in_the_file_is_refused(at: int, xor: int) -> None:
    refused(DATA[:at] + bytes([DATA[at] ^ xor]) + DATA[at + 1 :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    refused(data)
    if data:
        refused(data + DATA)
        refused(DATA + data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(DATA) - 1))
def test_a_cut_file_is_refused(end: int) -> None:
    refused(DATA[:end])


def test_other_zips_of_the_same_members_are_refused() -> None:
    def zipped(method: int, names: list[str], comment: bytes = b"", year: int = 1980) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.comment = comment
            for name in names:
                info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, method
                archive.writestr(info, MEMBERS[name])
        return buffer.getvalue()

    names = sorted(MEMBERS)
    assert zipped(zipfile.ZIP_STORED, names) == DATA
    refused(zipped(zipfile.ZIP_STORED, names[::-1]))
    refused(zipped(zipfile.ZIP_DEFLATED, names))
    refused(zipped(zipfile.ZIP_STORED, names, b"comment"))
    refused(zipped(zipfile.ZIP_STORED, names, year=2026))


def test_a_member_that_stands_twice_is_refused() -> None:
    buffer = io.BytesIO(DATA)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("checkpoint", MEMBERS["checkpoint"])
    refused(buffer.getvalue())


def test_a_file_too_large_is_refused() -> None:
    assert read_bundle(DATA, max_bytes=len(DATA)).checkpoint.size == 300
    with pytest.raises(BundleRefused, match="too large"):
        read_bundle(DATA, max_bytes=len(DATA) - 1)


def test_a_bundle_signed_by_another_key_is_refused_under_the_pinned_one() -> None:
    forged = write_bundle(serve(lawful_story(300).entries, OTHER).get, OTHER, ABOUT)
    assert verify_bundle(forged).ok, "it is a consistent bundle of somebody's log"
    with pytest.raises(BundleRefused):
        read_bundle(forged, SIGNER.vkey)
    assert not verify_bundle(forged, SIGNER.vkey).ok


def test_a_log_signed_by_another_key_is_refused() -> None:
    """The manifest's signature is not a substitute for the checkpoint's, nor the other way round."""
    other = write_bundle(serve(lawful_story(300).entries, OTHER).get, OTHER, ABOUT)
    theirs = dict(read_bundle(other).members)
    for names in (["checkpoint"], ["manifest", "manifest.sig"], ["policy"], ["manifest.sig"]):
        refused(make_zip({**MEMBERS, **{name: theirs[name] for name in names}}))


def resigned(members: dict[str, bytes]) -> bytes:
    """A bundle with these members whose manifest the log's own key has signed."""
    manifest = json.loads(MEMBERS["manifest"])
    manifest["members"] = {name: digest(data) for name, data in members.items() if not name.startswith("manifest")}
    data = canonical(manifest)
    signature = SIGNER.note(f"xyd evidence manifest v1\nsha256 {digest(data)}\n").encode()
    return make_zip({**members, "manifest": data, "manifest.sig": signature})


def test_even_the_logs_key_cannot_sign_another_kind_of_bundle() -> None:
    assert resigned(MEMBERS) == DATA
    policy = policy_text(OTHER.vkey).encode()
    less = {name: data for name, data in MEMBERS.items() if name != "tile/1/000.p/1"}
    for members in ({**MEMBERS, "extra": b"x"}, less, {**MEMBERS, "policy": policy}):
        refused(resigned(members))


def test_a_checkpoint_does_not_pass_for_a_manifest_signature() -> None:
    refused(make_zip({**MEMBERS, "manifest.sig": MEMBERS["checkpoint"]}))
    refused(make_zip({**MEMBERS, "checkpoint": MEMBERS["manifest.sig"]}))


@pytest.mark.parametrize(
    "policy",
    [b"", b"log x\nquorum none\n", f"log {SIGNER.vkey}\nquorum none".encode(),
     f"log  {SIGNER.vkey}\nquorum none\n".encode(),
     f"log {SIGNER.vkey}\nlog {OTHER.vkey}\nquorum none\n".encode(),
     f"log {SIGNER.vkey}\nquorum w\n".encode(), b"\xff" * 9000],
)  # fmt: skip
def test_other_policies_are_refused(policy: bytes) -> None:
    assert policy_vkey(policy_text(SIGNER.vkey).encode()) == SIGNER.vkey
    refused(make_zip({**MEMBERS, "policy": policy}))


def test_a_stated_size_cannot_make_us_count_for_ever() -> None:
    files = {**MEMBERS, "checkpoint": sign_checkpoint(SIGNER, 2**62, b"\x01" * 32).encode()}
    refused(make_zip(files))
