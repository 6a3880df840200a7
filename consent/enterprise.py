"""CreditCode: the unified social credit code 统一社会信用代码 (GB 32100-2015).

18 characters: registering department, entity kind, region (6), organisation code (9, with its own check
character by GB 11714), and a check character. Alphabet without I O S V Z.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from consent.errors import Invalid

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_VALUE = {char: value for value, char in enumerate(ALPHABET)}
# GB 11714 counts the full alphabet (A = 10 … Z = 35), unlike GB 32100 which leaves five letters out.
_ORGANISATION_VALUE = {char: value for value, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


class CreditCode(str):
    """A checksum-valid unified social credit code. Made only by `CreditCode.parse`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> CreditCode:
        """Read a code; full-width digits and lower case are normalised first (NFKC, upper).

        Raises Invalid for a wrong length, a letter outside the alphabet or a wrong check character.
        An unknown region is not an error: region digits are the registrar at issue time.
        """
        return text if type(text) is cls else _parse(text)

    @property
    def natural_person(self) -> bool:
        """True for an individual business 个体工商户 (codes 92…), whose data is personal information."""
        return self.startswith("92")

    @property
    def masked(self) -> str:
        """The code with its middle hidden, for lists that are read over a shoulder."""
        return f"{self[:4]}**********{self[14:]}"


@lru_cache(maxsize=16_384)
def _parse(text: str) -> CreditCode:
    code = unicodedata.normalize("NFKC", text).strip().upper() if len(text) <= 64 else ""
    if len(code) != 18 or any(char not in _VALUE for char in code):
        raise Invalid("not a unified social credit code", code="request.invalid", cause="shape")
    if code[17] != check_character(code[:17]):
        raise Invalid("not a unified social credit code", code="request.invalid", cause="check character")
    return CreditCode(code)


def check_character(body: str) -> str:
    """The 18th character for the first 17 (GB 32100-2015 §5)."""
    total = sum(_VALUE[char] * weight for char, weight in zip(body, _WEIGHTS, strict=True))
    return ALPHABET[(31 - total) % 31]


def organisation_check(body: str) -> str:
    """The check character for an 8-character organisation code (GB 11714): 0-9 or X."""
    total = sum(_ORGANISATION_VALUE[char] * weight for char, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def issue_fictitious(serial: int, *, kind: str = "91") -> CreditCode:
    """A checksum-valid code that no registrar issued: region 000000, organisation body = the serial number.

    `serial` is 1..99,999,999; `kind` the first two characters. For sandboxes and tests.
    """
    body = f"{serial:08d}"
    stem = f"{kind}000000{body}{organisation_check(body)}"
    return CreditCode.parse(stem + check_character(stem))
