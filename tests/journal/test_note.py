"""Signed notes and checkpoints: the frozen vectors, and every malformed form refused (C2SP signed-note,
tlog-checkpoint).
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.journal.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    parse_proof,
    sign_checkpoint,
    write_proof,
)
from node.journal.errors import NoteRefused
from node.journal.note import COSIGNATURE, MAX_SIGNATURES, Signer, Verifier, b64decode, b64encode, open_note, parse_note

VECTORS = Path(__file__).parent.parent / "vectors"
NOTE = json.loads((VECTORS / "note.json").read_text())
HEAD = json.loads((VECTORS / "checkpoint.json").read_text())
LOG = Signer(HEAD["origin"], bytes.fromhex(HEAD["log_seed"]))
WITNESS = Signer("witness.regulator.example/w1", bytes.fromhex(HEAD["witness_seed"]), COSIGNATURE)
STRANGER = Signer("stranger.example", b"\x07" * 32)
V = Verifier(LOG.vkey)
TEXT = "one\ntwo\n"


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(NoteRefused):
        call()


def test_the_example_of_the_specification() -> None:
    opened = open_note(NOTE["note"], [Verifier(NOTE["vkey"])])
    assert (opened.text, opened.by) == (NOTE["text"], (NOTE["vkey"],))


def test_the_checkpoint_vector() -> None:
    assert (LOG.vkey, WITNESS.vkey) == (HEAD["log_vkey"], HEAD["witness_vkey"])
    root = bytes.fromhex(HEAD["root"])
    note = sign_checkpoint(LOG, HEAD["size"], root)
    text = parse_note(note).text
    assert note + WITNESS.line(text, HEAD["witness_time"]) == HEAD["note"]
    assert text == Checkpoint(LOG.name, HEAD["size"], root).text()
    head, opened = open_checkpoint(HEAD["note"], V, [Verifier(WITNESS.vkey)])
    assert head == (HEAD["origin"], HEAD["size"], root)
    assert opened.by == (LOG.vkey, WITNESS.vkey) and opened.times == {WITNESS.vkey: HEAD["witness_time"]}


def test_the_empty_log_vector() -> None:
    note = sign_checkpoint(LOG, 0, b64decode(HEAD["empty_root"]))
    assert note.endswith(f"— {LOG.name} {HEAD['empty_signature']}\n")
    assert open_checkpoint(note, V)[0].size == 0


def test_keys_are_read_back() -> None:
    for signer in (LOG, WITNESS):
        again = Signer.from_skey(signer.skey())
        assert (again.vkey, again.line(TEXT, 5)) == (signer.vkey, signer.line(TEXT, 5))
        assert Verifier(signer.vkey).key_id == signer.key_id
        assert signer.skey()[-40:] not in repr(signer)


@pytest.mark.parametrize("bad", ["", "a+b", LOG.vkey + "=", LOG.vkey[:-1], LOG.vkey.replace("07ab78af", "07AB78AF"),
    LOG.vkey.replace("07ab78af", "07ab78ae"), LOG.vkey.replace("AQO", "AgO"), " " + LOG.vkey, LOG.vkey + "\n",
    "+07ab78af+" + LOG.vkey.split("+", 2)[2], LOG.vkey.replace("xyd", "x yd"), LOG.vkey + "AAAA"])  # fmt: skip
def test_malformed_keys_are_refused(bad: str) -> None:
    refused(lambda: Verifier(bad))


def test_malformed_secrets_are_refused_without_showing_them() -> None:
    secret = LOG.skey()
    for bad in (secret[12:], secret[:-4], secret.replace("07ab78af", "07ab78ae"), secret.replace("xyd", "x yd"), ""):
        with pytest.raises(NoteRefused) as caught:
            Signer.from_skey(bad)
        assert secret[-40:] not in str(caught.value)
    refused(lambda: Signer("a", b"\x00" * 31))
    refused(lambda: Signer("a", b"\x00" * 32, 6))
    refused(lambda: Signer("a b", b"\x00" * 32))


def test_unknown_signatures_are_ignored_and_one_known_is_needed() -> None:
    note = LOG.note(TEXT) + STRANGER.line(TEXT) + f"— {LOG.name} {b64encode(b'1234' + b'x' * 70)}\n"
    assert open_note(note, [V]).by == (LOG.vkey,)
    refused(lambda: open_note(STRANGER.note(TEXT), [V]))
    refused(lambda: open_note(note, []))


def test_a_known_key_whose_signature_fails_spoils_the_note() -> None:
    wrong = LOG.line("other\n")
    refused(lambda: open_note(f"{TEXT}\n{wrong}", [V]))
    refused(lambda: open_note(f"{TEXT}\n{wrong}{STRANGER.line(TEXT)}", [V, Verifier(STRANGER.vkey)]))
    refused(lambda: open_note(LOG.note(TEXT) + LOG.line(TEXT), [V]))
    late = WITNESS.line(TEXT, 5)
    name, data = late.split(" ")[1], b64decode(late.split(" ")[2].strip())
    moved = f"— {name} {b64encode(data[:4] + (6).to_bytes(8) + data[12:])}\n"
    refused(lambda: open_note(f"{TEXT}\n{moved}", [Verifier(WITNESS.vkey)]))
    short = f"— {name} {b64encode(data[:-1])}\n"
    refused(lambda: open_note(f"{TEXT}\n{short}", [Verifier(WITNESS.vkey)]))


GOOD = LOG.note(TEXT)
LINE = LOG.line(TEXT)


@pytest.mark.parametrize(
    "bad",
    [
        "", TEXT, TEXT + "\n", GOOD[:-1], GOOD + "\n", GOOD + "x\n", GOOD.replace("\n\n", "\n"), "\r" + GOOD,
        GOOD + "\x00", GOOD.replace("— ", "- "), GOOD.replace("— ", "—"), GOOD.replace("— ", "—  "),
        f"{TEXT}\n— {LOG.name}\n",
        f"{TEXT}\n— {LOG.name} \n", f"{TEXT}\n— a+b {b64encode(b'12345678')}\n", f"{TEXT}\n— a {b64encode(b'1234')}\n",
        f"{TEXT}\n— a\u3000b {b64encode(b'12345678')}\n", f"{TEXT}\n{LINE.rstrip()} \n",
        f"{TEXT}\n" + LINE * (MAX_SIGNATURES + 1),
        f"{TEXT}\n{LINE[:-3]}\n", f"{TEXT}\n{LINE[:-2]}==\n", GOOD.encode() + b"\xff\n", GOOD.encode("utf-16"),
        "x" * 1_000_001 + GOOD, TEXT.rstrip() + "\t\n\n" + LINE,
    ],
)  # fmt: skip
def test_malformed_notes_are_refused(bad: str | bytes) -> None:
    refused(lambda: open_note(bad, [V]))


def test_a_signer_writes_only_what_can_be_read_back() -> None:
    refused(lambda: LOG.note("no newline"))
    refused(lambda: LOG.note("tab\t\n"))
    assert open_note(LOG.note("a\n\nb\n"), [V]).text == "a\n\nb\n"


@given(st.binary(max_size=80))
def test_base64_has_one_form(data: bytes) -> None:
    text = b64encode(data)
    assert b64decode(text) == data
    for other in {text + "=", text + "\n", " " + text, text.replace("=", "")} - {text}:
        refused(lambda t=other: b64decode(t))  # type: ignore[misc]


def test_base64_with_stray_bits_is_refused() -> None:
    for text in ("AB==", "AAB=", "A", "AA=", "AA", "é===", "A-_=", "AAAA\x00"):
        refused(lambda t=text: b64decode(t))  # type: ignore[misc]


ROOT = b64encode(b"\x01" * 32)


@pytest.mark.parametrize("bad", [f"o\n1\n{ROOT}", f"o\n1\n{ROOT}\nextension\n", f"\n1\n{ROOT}\n", f"o\n01\n{ROOT}\n",
    f"o\n-1\n{ROOT}\n", f"o\n+1\n{ROOT}\n", f"o\n\n{ROOT}\n", f"o\n{2**63}\n{ROOT}\n", f"o\n1\n{ROOT[:-4]}\n",
    "o\n1\n\n",
    f"o\n１\n{ROOT}\n", f"o\n1\n{ROOT}\n\n", f"o\n1 \n{ROOT}\n"])  # fmt: skip
def test_malformed_checkpoints_are_refused(bad: str) -> None:
    refused(lambda: parse_checkpoint(bad))


def test_a_checkpoint_needs_the_log_itself_and_its_own_origin() -> None:
    text = Checkpoint(LOG.name, 1, b"\x01" * 32).text()
    witnessed_only = f"{text}\n{WITNESS.line(text, 5)}"
    refused(lambda: open_checkpoint(witnessed_only, V, [Verifier(WITNESS.vkey)]))
    foreign = LOG.note(Checkpoint("other.example/log", 1, b"\x01" * 32).text())
    refused(lambda: open_checkpoint(foreign, V))


def test_proof_files_are_read_back() -> None:
    note = sign_checkpoint(LOG, 9, b"\x01" * 32)
    path = (b"\x02" * 32, b"\x03" * 32)
    for extra in (b"", b"context"):
        text = write_proof(4, path, note, extra)
        proof = parse_proof(text)
        assert (proof.index, proof.path, proof.checkpoint, proof.extra) == (4, path, note, extra)
    assert parse_proof(write_proof(0, (), note)).path == ()


def test_malformed_proof_files_are_refused() -> None:
    good = write_proof(4, [b"\x02" * 32], sign_checkpoint(LOG, 9, b"\x01" * 32))
    lines = good.split("\n")
    for bad in (
        "", good.replace("@v1", "@v2"), good.replace("index 4", "index 04"), good.replace("index 4\n", ""),
        "\n".join([*lines[:2], lines[2][:-4], *lines[3:]]), lines[0], good.replace("index", "extra !\nindex"),
        "\n".join([*lines[:2], *([lines[2]] * 65), *lines[3:]]),
    ):  # fmt: skip
        refused(lambda b=bad: parse_proof(b))  # type: ignore[misc]
