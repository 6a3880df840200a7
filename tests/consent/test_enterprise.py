"""CreditCode: the checksum of GB 32100-2015 and GB 11714, and what is normalised before it is looked at."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent.enterprise import ALPHABET, CreditCode, check_character, issue_fictitious, organisation_check
from consent.errors import Invalid

VECTORS = json.loads(Path(__file__).parents[1].joinpath("vectors/credit_codes.json").read_text())
GOOD = [*VECTORS["valid"], *VECTORS["fictitious"]]


@pytest.mark.parametrize("code", GOOD)
def test_a_code_with_the_right_check_character_is_taken(code: str) -> None:
    parsed = CreditCode.parse(code)
    assert parsed == code and type(parsed) is CreditCode
    assert CreditCode.parse(parsed) is parsed


@pytest.mark.parametrize("why", VECTORS["invalid"])
def test_a_wrong_code_is_refused_without_an_echo(why: str) -> None:
    code = VECTORS["invalid"][why]
    with pytest.raises(Invalid) as refused:
        CreditCode.parse(code)
    assert refused.value.code == "request.invalid"
    assert not code or code not in refused.value.detail + refused.value.cause + str(refused.value.extra)


@pytest.mark.parametrize("written", VECTORS["normalised"])
def test_full_width_lower_case_and_outer_blanks_are_normalised_first(written: str) -> None:
    assert CreditCode.parse(written) == VECTORS["normalised"][written]


def test_every_single_substitution_is_refused() -> None:
    for code in GOOD:
        for place in range(18):
            for other in set(ALPHABET) - {code[place]}:
                with pytest.raises(Invalid):
                    CreditCode.parse(code[:place] + other + code[place + 1 :])


def test_every_swap_of_two_different_neighbours_is_refused() -> None:
    for code in GOOD:
        for place in range(17):
            swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
            if swapped != code:
                with pytest.raises(Invalid):
                    CreditCode.parse(swapped)


@given(st.text(max_size=80))
@example("9" * 65)
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_code_of_18_letters_of_the_alphabet_or_invalid(text: str) -> None:
    try:
        code = CreditCode.parse(text)
    except Invalid:
        return
    assert len(code) == 18 and set(code) <= set(ALPHABET) and code[17] == check_character(code[:17])


@given(st.text(ALPHABET, min_size=17, max_size=17))
@settings(deadline=None, max_examples=100)
def test_exactly_one_check_character_fits_a_stem(stem: str) -> None:
    fitting = [last for last in ALPHABET if parses(stem + last)]
    assert fitting == [check_character(stem)]


def parses(text: str) -> bool:
    """Whether the text is a code."""
    try:
        CreditCode.parse(text)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize(("body", "check"), VECTORS["organisation_codes"].items())
def test_the_organisation_code_has_a_check_of_its_own(body: str, check: str) -> None:
    assert organisation_check(body) == check


@given(st.integers(1, 99_999_999), st.sampled_from(("91", "92", "93", "51", "N1")))
@example(1, "91")
@settings(deadline=None, max_examples=100)
def test_a_fictitious_code_names_no_region_and_its_serial_number(serial: int, kind: str) -> None:
    code = issue_fictitious(serial, kind=kind)
    assert code.startswith(kind + "000000" + f"{serial:08d}") and code[16] == organisation_check(code[8:16])
    assert code.natural_person is (kind == "92")


def test_the_first_fictitious_code_is_the_one_that_the_sandbox_prints() -> None:
    assert issue_fictitious(1) == "91000000000000019G"


@pytest.mark.parametrize("serial", [100_000_000, -1, 10**12])
def test_a_serial_number_that_does_not_fit_is_a_bug(serial: int) -> None:
    with pytest.raises((ValueError, KeyError)):
        issue_fictitious(serial)


def test_a_masked_code_shows_eight_of_its_characters() -> None:
    masked = CreditCode.parse("9144030071526726XG").masked
    assert masked == "9144**********26XG" and len(masked) == 18
