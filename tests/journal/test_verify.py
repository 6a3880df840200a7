"""The verifier passes a true log and fails every forged one: the mutation matrix of reference/audit.md §5."""

import random
from pathlib import Path

import pytest

from node.journal.checkpoint import sign_checkpoint
from node.journal.merkle import leaf_hash
from node.journal.report import Report
from node.journal.tiles import decode_bundle, encode_bundle
from node.journal.verify import Trust, directory_reader, verify_log
from tests.journal.sample import OTHER, SIGNER, Story, lawful_story, serve

ENTRIES = lawful_story(600).entries
FILES = serve(ENTRIES)
TRUST = Trust(SIGNER.vkey, "pinned")
STEPS = ["checkpoint", "entries", "root", "tiles", "leaves", "laws"]


def verify(files: dict[str, bytes]) -> Report:
    return verify_log(files.get, TRUST)


def verdicts(report: Report) -> dict[str, bool | None]:
    return {check.id: check.ok for check in report.checks}


def failed(files: dict[str, bytes]) -> set[str]:
    """The steps that failed; nothing may count as passed for the whole."""
    report = verify(files)
    assert not report.ok
    assert [check.id for check in report.checks] == STEPS
    return {check.id for check in report.checks if check.ok is False}


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_a_true_log_passes_every_step(size: int) -> None:
    entries = ENTRIES[:size]
    report = verify(serve(entries))
    assert report.ok and report.complete
    assert [check.step for check in report.checks] == [1, 2, 3, 4, 5, 6]
    assert report.checkpoint is not None and report.checkpoint.size == size
    assert report.laws is not None and report.laws.lawful
    assert all(check.zh and check.en for check in report.checks)


def test_the_empty_log_passes() -> None:
    report = verify(serve([]))
    assert report.ok and report.complete


def test_the_report_says_whose_key_was_used() -> None:
    pinned = verify_log(FILES.get, TRUST).checks[0]
    found = verify_log(FILES.get, Trust(SIGNER.vkey, "bundle")).checks[0]
    assert "you pinned" in pinned.en and "not confirmed" in found.en and pinned.zh != found.zh


def test_from_a_directory(tmp_path: Path) -> None:
    for path, data in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    assert verify_log(directory_reader(tmp_path), TRUST).ok
    (tmp_path / "tile/0/001").unlink()
    assert not verify_log(directory_reader(tmp_path), TRUST).ok


def test_the_report_as_json() -> None:
    value = verify(FILES).as_json()
    assert value["ok"] is True and value["complete"] is True
    assert value["laws"] == {"violations": [], "open": [], "counters": verify(FILES).laws.counters}  # type: ignore[union-attr]
    assert isinstance(value["checkpoint"], dict) and value["checkpoint"]["size"] == 600


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_flipped_byte_anywhere_in_a_file_is_found(path: str) -> None:
    rng = random.Random(path)
    data = FILES[path]
    for at in {0, len(data) // 2, len(data) - 1, *(rng.randrange(len(data)) for _ in range(5))}:
        steps = failed({**FILES, path: flip(data, at)})
        expected = {"checkpoint"} if path == "checkpoint" else {"entries", "root", "tiles", "leaves"}
        assert steps & expected


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_missing_or_cut_or_longer_file_is_found(path: str) -> None:
    data = FILES[path]
    without = {name: value for name, value in FILES.items() if name != path}
    assert failed(without)
    for bad in (b"", data[:-1], data + b"\x00", data[:-32], data + data[-32:]):
        assert failed({**FILES, path: bad})


def test_every_forged_entry_is_found_though_all_tiles_agree_with_it() -> None:
    """Tiles and entries forged consistently, at every position, under the true checkpoint."""
    for index in range(0, 600, 7):
        forged = list(ENTRIES)
        forged[index] = forged[index].replace(b'"ts":1', b'"ts":2')
        files = {**serve(forged), "checkpoint": FILES["checkpoint"]}
        assert "root" in failed(files)


def test_a_forged_tile_is_found_at_every_position() -> None:
    for path, data in FILES.items():
        if path.startswith("tile/entries") or path == "checkpoint":
            continue
        for slot in range(0, len(data) // 32, 5):
            other = leaf_hash(b"forged %d" % slot)
            files = {**FILES, path: data[: slot * 32] + other + data[slot * 32 + 32 :]}
            assert failed(files) == {"tiles"}


def test_two_swapped_entries_are_found() -> None:
    for path in (p for p in FILES if "entries" in p):
        entries = decode_bundle(FILES[path])
        entries[3], entries[4] = entries[4], entries[3]
        assert "root" in failed({**FILES, path: encode_bundle(entries)})


def test_one_more_or_one_less_entry_in_a_bundle_is_found() -> None:
    for path in (p for p in FILES if "entries" in p):
        entries = decode_bundle(FILES[path])
        assert "entries" in failed({**FILES, path: encode_bundle(entries[:-1])})
        if len(entries) < 256:
            assert "entries" in failed({**FILES, path: encode_bundle([*entries, entries[0]])})


def test_another_size_under_the_same_root_is_found() -> None:
    report = verify(FILES)
    assert report.checkpoint is not None
    for size in (599, 601, 0, 2**62):
        note = sign_checkpoint(SIGNER, size, report.checkpoint.root).encode()
        assert failed({**FILES, "checkpoint": note})


def test_signatures_of_others_do_not_count() -> None:
    true = FILES["checkpoint"].decode()
    text = true.split("\n\n")[0] + "\n"
    foreign = SIGNER.note(text.replace("log1", "log2", 1))
    bad_line = SIGNER.line("another text\n")
    for note in (OTHER.note(text), foreign, f"{text}\n{bad_line}", text, text + "\n", true + SIGNER.line(text)):
        report = verify({**FILES, "checkpoint": note.encode()})
        assert verdicts(report) == {"checkpoint": False, **dict.fromkeys(STEPS[1:])}
        assert not report.ok and not report.complete


def test_a_replayed_old_checkpoint_does_not_hold_over_new_files() -> None:
    files = {**FILES, "checkpoint": serve(ENTRIES[:500])["checkpoint"]}
    assert "entries" in failed(files)


def test_an_entry_that_is_no_leaf_is_found_though_signed() -> None:
    entries = [*ENTRIES[:10], b"not a leaf", *ENTRIES[10:20]]
    assert failed(serve(entries)) == {"leaves"}
    assert verdicts(verify(serve(entries)))["laws"] is None


def test_a_broken_law_is_found_though_signed() -> None:
    story = Story()
    index = story.release()
    report = verify(serve(story.entries))
    assert verdicts(report) == {**dict.fromkeys(STEPS, True), "laws": False}
    assert report.laws is not None and {v.index for v in report.laws.violations} == {index}
    assert f"#{index}" in report.checks[-1].en


def test_without_entries_the_laws_are_not_called_passed() -> None:
    hashes_only = {path: data for path, data in FILES.items() if "entries" not in path}
    report = verify_log(hashes_only.get, TRUST, entries=False)
    assert report.ok and not report.complete and report.laws is None
    assert verdicts(report)["leaves"] is None and verdicts(report)["laws"] is None
    for path, data in hashes_only.items():
        if path != "checkpoint":
            bad = {**hashes_only, path: flip(data, 40)}
            assert not verify_log(bad.get, TRUST, entries=False).ok
            less = {name: value for name, value in hashes_only.items() if name != path}
            assert not verify_log(less.get, TRUST, entries=False).ok
