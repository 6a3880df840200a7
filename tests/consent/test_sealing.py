"""Sealing: bytes open under the key and for the row they were sealed for, unchanged, and in no other case."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.sealing import A256GCM, KEY_BYTES, SealBroken, Sealer, new_key

ROW = b"entry:2026:7"
QUICK = settings(deadline=None, max_examples=60)


@given(st.binary(max_size=200), st.binary(max_size=40))
@QUICK
def test_what_was_sealed_opens(plain: bytes, identity: bytes) -> None:
    sealer = Sealer(new_key())
    sealed = sealer.seal(plain, identity)
    assert sealer.open(sealed, identity) == plain
    assert sealed[:1] == A256GCM and len(sealed) == len(plain) + 1 + 12 + 16


def test_a_change_of_any_bit_breaks_the_seal() -> None:
    sealer = Sealer(new_key())
    sealed = sealer.seal("授权书".encode(), ROW)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(SealBroken):
                sealer.open(bytes(changed), ROW)


def test_cut_or_lengthened_bytes_break_the_seal() -> None:
    sealer = Sealer(new_key())
    sealed = sealer.seal(b"details", ROW)
    for changed in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed[1:], b"\0" + sealed]:
        with pytest.raises(SealBroken):
            sealer.open(changed, ROW)


@pytest.mark.parametrize("other", [b"", b"entry:2026:8", b"entry:2026:70", b"entry:2025:7", ROW + b"\0"])
def test_bytes_of_one_row_do_not_open_for_another(other: bytes) -> None:
    sealer = Sealer(new_key())
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"details", ROW), other)


def test_another_key_does_not_open() -> None:
    sealed = Sealer(new_key()).seal(b"details", ROW)
    with pytest.raises(SealBroken):
        Sealer(new_key()).open(sealed, ROW)


def test_a_broken_seal_says_nothing_of_the_content() -> None:
    sealer = Sealer(new_key())
    with pytest.raises(SealBroken) as broken:
        sealer.open(sealer.seal(b"secret", ROW), b"other")
    assert "secret" not in str(broken.value) and broken.value.__cause__ is None


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    sealer = Sealer(new_key())
    assert len({sealer.seal(b"same", ROW) for _ in range(50)}) == 50


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(bytes(length))
    assert len(new_key()) == KEY_BYTES and new_key() != new_key()


def test_the_node_opens_what_an_independent_reader_seals() -> None:
    # NIST SP 800-38D by the other library of the house: version, 12 bytes nonce, ciphertext, 16 bytes tag.
    from Crypto.Cipher import AES

    key, nonce = bytes(range(32)), bytes(range(12))
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
    cipher.update(ROW)
    data, tag = cipher.encrypt_and_digest(b"details")
    assert Sealer(key).open(b"\x01" + nonce + data + tag, ROW) == b"details"
