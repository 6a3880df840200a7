"""Verifiers that nobody here wrote read our files, over HTTP and from disk, and fail on every forgery.

aics-tlog and tlog-scales (PyPI, tests only). reference/audit.md §5.
"""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import aics_tlog
import pytest
import tlog_scales.backend
import tlog_scales.reader
import tlog_scales.signing
import tlog_scales.tiles
import tlog_scales.tlog
from cryptography.exceptions import InvalidSignature

from node.journal.checkpoint import parse_proof, sign_checkpoint, write_proof
from node.journal.merkle import consistency_path, inclusion_path, leaf_hash, levels_reader, tree_root
from node.journal.note import COSIGNATURE, Signer, parse_note
from node.journal.tiles import decode_bundle, encode_bundle
from tests.journal.loopback import serving
from tests.journal.sample import OTHER, SIGNER, lawful_story, serve

ENTRIES = lawful_story(600).entries
FILES = serve(ENTRIES)
HASHES = [leaf_hash(entry) for entry in ENTRIES]
READ = levels_reader(HASHES)
WITNESS = Signer("witness.example/w1", b"\x01" * 32, COSIGNATURE)
BIN = Path(sysconfig.get_path("scripts"))


def aics_accepts(files: dict[str, bytes]) -> None:
    """aics-tlog: the note under the log's key, then every tile and bundle under its root. Raises when anything is
    wrong.
    """
    note = aics_tlog.parse_note(files["checkpoint"])
    verified = aics_tlog.verify_checkpoint(note, aics_tlog.parse_vkey(SIGNER.vkey))
    if not verified.ok:
        raise ValueError("checkpoint refused")
    head = aics_tlog.parse_checkpoint(note.text)
    aics_tlog.audit_tiles(aics_tlog.MemoryTileReader(files), head.size, head.root)


class _Files:
    """A backend of tlog-scales over our files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get(self, *path: str) -> bytes | None:
        return self.files.get("/".join(path))


def scales_accepts(files: dict[str, bytes]) -> None:
    """tlog-scales: the signature, the root from tiles, and every entry included under it."""
    reader = tlog_scales.reader.TilesReader(_Files(files))
    head = reader.get_checkpoint()
    head.verify(tlog_scales.signing.Vkey.from_string(SIGNER.vkey))
    if reader.calculate_root_hash() != head.root_hash:
        raise ValueError("another root")
    for index in range(head.size):
        proof = reader.get_inclusion_proof(index, head.size)
        proof.check(tlog_scales.tiles.leaf_hash(reader.get_entry(index)), head.root_hash)


BOTH = pytest.mark.parametrize("accepts", [aics_accepts, scales_accepts])


@BOTH
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_they_accept_our_log(accepts: Callable[[dict[str, bytes]], None], size: int) -> None:
    accepts(serve(ENTRIES[:size]))


@BOTH
def test_they_accept_witness_lines_beside_ours(accepts: Callable[[dict[str, bytes]], None]) -> None:
    note = FILES["checkpoint"].decode()
    accepts({**FILES, "checkpoint": (note + WITNESS.line(parse_note(note).text, 1_795_000_000)).encode()})


def test_aics_counts_our_cosignature() -> None:
    note = FILES["checkpoint"].decode()
    note += WITNESS.line(parse_note(note).text, 1_795_000_000)
    log, witness = aics_tlog.parse_vkey(SIGNER.vkey), aics_tlog.parse_vkey(WITNESS.vkey)
    assert aics_tlog.verify_checkpoint(aics_tlog.parse_note(note), log, [witness], quorum=1).ok
    assert not aics_tlog.verify_checkpoint(aics_tlog.parse_note(FILES["checkpoint"]), log, [witness], quorum=1).ok


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def forgeries() -> dict[str, dict[str, bytes]]:
    """The mutation matrix: each of these a verifier must refuse."""
    cases: dict[str, dict[str, bytes]] = {}
    for path, data in FILES.items():
        cases[f"flip {path}"] = {**FILES, path: flipped(data, len(data) // 2)}
        if path == "checkpoint":  # both read a note that lacks only its last newline
            cases["cut checkpoint"] = {**FILES, path: data[:-9]}
            continue
        cases[f"drop {path}"] = {name: value for name, value in FILES.items() if name != path}
        cases[f"cut {path}"] = {**FILES, path: data[:-1]}
    for path in (name for name in FILES if "entries" in name):
        entries = decode_bundle(FILES[path])
        cases[f"swap {path}"] = {**FILES, path: encode_bundle([entries[1], entries[0], *entries[2:]])}
        cases[f"short {path}"] = {**FILES, path: encode_bundle(entries[:-1])}
    for index in (0, 255, 256, 300, 511, 512, 599):
        forged = [*ENTRIES[:index], ENTRIES[index] + b" ", *ENTRIES[index + 1 :]]
        cases[f"forge {index} throughout"] = {**serve(forged), "checkpoint": FILES["checkpoint"]}
    root = tree_root(600, READ)
    for size in (599, 601):
        cases[f"size {size}"] = {**FILES, "checkpoint": sign_checkpoint(SIGNER, size, root).encode()}
    cases["replay"] = {**FILES, "checkpoint": sign_checkpoint(SIGNER, 600, tree_root(599, READ)).encode()}
    cases["stranger"] = {**FILES, "checkpoint": sign_checkpoint(OTHER, 600, root).encode()}
    return cases


FORGERIES = forgeries()
REFUSALS = (ValueError, IndexError, RuntimeError, OSError, InvalidSignature, tlog_scales.tlog.InclusionProofInvalid)
"""How the two verifiers refuse. No AttributeError or TypeError: those would be our use of them gone wrong."""


@BOTH
@pytest.mark.parametrize("name", sorted(FORGERIES))
def test_they_refuse_every_forgery(accepts: Callable[[dict[str, bytes]], None], name: str) -> None:
    with pytest.raises(REFUSALS):
        accepts(FORGERIES[name])


def test_proofs_agree_with_theirs() -> None:
    for old, new in ((1, 600), (255, 256), (256, 600), (257, 599), (511, 513), (600, 600)):
        roots = tree_root(old, READ), tree_root(new, READ)
        assert aics_tlog.verify_consistency(old, new, *roots, consistency_path(old, new, READ))
        proof = tlog_scales.tlog.ConsistencyProof(old, new, consistency_path(old, new, READ))
        proof.check(*roots)
    for index in (0, 255, 256, 599):
        path = inclusion_path(index, 600, READ)
        assert aics_tlog.verify_leaf_inclusion(ENTRIES[index], index, 600, path, tree_root(600, READ))
        tlog_scales.tlog.InclusionProof(index, 600, path).check(HASHES[index], tree_root(600, READ))


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *words], capture_output=True, timeout=60, check=False)


def test_the_command_line_tools_over_http(tmp_path: Path) -> None:
    key = tmp_path / "log.vkey"
    key.write_text(SIGNER.vkey + "\n")
    with serving(dict(FILES)) as prefix:
        leaf = run(str(BIN / "tlog-tiles"), "get-leaf", "-c", prefix, "300")
        assert leaf.returncode == 0 and leaf.stdout == ENTRIES[300]
        proof = run(str(BIN / "tlog-tiles"), "gen-proof", prefix, "599")
        assert proof.returncode == 0
        ours = write_proof(599, inclusion_path(599, 600, READ), FILES["checkpoint"].decode())
        assert proof.stdout.decode() == ours and parse_proof(ours).index == 599
        for words in (["verify-checkpoint"], ["verify-inclusion", "--index", "511"]):
            result = run("-m", "aics_tlog", *words, "--tiles", prefix, "--vkey-file", str(key))
            assert result.returncode == 0, result
            assert json.loads(result.stdout)["ok"] is True
    bad = {**FILES, "tile/0/001": flipped(FILES["tile/0/001"], 70)}
    with serving(bad) as prefix:
        assert run(str(BIN / "tlog-tiles"), "get-leaf", "-c", prefix, "300").returncode != 0
        result = run(
            "-m", "aics_tlog", "verify-inclusion", "--index", "300", "--tiles", prefix, "--vkey-file", str(key)
        )
        assert result.returncode == 1 and json.loads(result.stdout)["ok"] is False
