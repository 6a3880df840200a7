"""Passcodes of signatories: kept as a salted scrypt hash, matched in constant time, never a crash."""

import hashlib

import pytest

from consent.signatory import ROLES, hash_passcode, passcode_matches

STORED = hash_passcode("246810", salt=bytes(16))


def test_a_passcode_is_kept_as_salt_and_scrypt_of_it() -> None:
    salt_hex, _, hashed = STORED.partition("$")
    assert salt_hex == "00" * 16
    assert hashed == hashlib.scrypt(b"246810", salt=bytes(16), n=2**14, r=8, p=1, dklen=32).hex()
    assert len(STORED) <= 160 and "246810" not in STORED


def test_the_right_passcode_matches() -> None:
    assert passcode_matches("246810", STORED) and passcode_matches("口令", hash_passcode("口令"))


@pytest.mark.parametrize("wrong", ["", "246811", "24681", "2468100", "246810 ", "２４６８１０", "\ud800", "a" * 1000])
def test_any_other_passcode_does_not_match(wrong: str) -> None:
    assert passcode_matches(wrong, STORED) is False


@pytest.mark.parametrize(
    "stored",
    [
        *("", "$", "00", "zz$00", "00$$00", STORED[:-1], STORED + "0", STORED.upper() + "x"),
        *("00$é", "é$00", "\ud800", "00$\ud800"),
    ],
)
def test_a_stored_value_that_is_no_hash_matches_nothing(stored: str) -> None:
    assert passcode_matches("246810", stored) is False


def test_two_hashes_of_one_passcode_differ_by_their_salt() -> None:
    one, other = hash_passcode("246810"), hash_passcode("246810")
    assert one != other and passcode_matches("246810", one) and passcode_matches("246810", other)


def test_the_legal_representative_and_an_agent_may_sign() -> None:
    assert ROLES == {"legal_rep": "法定代表人", "agent": "授权经办人"}
