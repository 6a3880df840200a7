"""A card file is data from a stranger: every rule it can break is broken here once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from consent.canonical import digest
from risk import card_file
from risk.errors import CardRejected
from tests.risk.firms import CARDS

TEXT = (CARDS / "sme_invoice_v1.json").read_text(encoding="utf-8")
Edit = Callable[[dict[str, Any]], object]


def rule(card: dict[str, Any], name: str = "void_share") -> dict[str, Any]:
    return next(each for each in card["characteristics"] if each["name"] == name)


def with_mean(each: dict[str, Any]) -> None:
    """Repair the mean, so that only the rule under test is broken."""
    places = [place for place in [*each["bins"], *each["missing"].values()] if place["n"]]
    each["mean_mpts"] = card_file.rounded_mean(sum(place["mpts"] * place["n"] for place in places), 123)


def pure_bad_bin_made_neutral(card: dict[str, Any]) -> None:
    """Four firms without a value, all of them bad, at zero points."""
    each = rule(card)
    each["bins"][0].update(n=78, bad=6)
    each["missing"]["undefined"] = {"mpts": 0, "n": 4, "bad": 4}
    with_mean(each)


def bad_bin_rewarded(card: dict[str, Any]) -> None:
    each = rule(card)
    for place in each["bins"]:
        place["mpts"] = 10
    with_mean(each)


EDITS: list[tuple[Edit, str]] = [
    (lambda card: card.update(extra=1), "closed set"),
    (lambda card: card.pop("bands"), "closed set"),
    (lambda card: card.update(format="xyd-scorecard/2"), "unknown format"),
    (lambda card: card.update(name="Card 1"), "name is malformed"),
    (lambda card: card.update(characteristics=[]), "empty or repeated"),
    (lambda card: card["characteristics"].append(rule(card)), "empty or repeated"),
    (lambda card: rule(card).update(name="rating"), "unknown characteristic"),
    (lambda card: rule(card).update(definition="0" * 64), "another definition"),
    (lambda card: rule(card).update(coefficient="-0.5"), "coefficient is not positive"),
    (lambda card: rule(card).update(edges=["0.19", "0.12"]), "edges do not rise"),
    (lambda card: rule(card).update(edges=["0.12"]), "do not fit"),
    (lambda card: rule(card).update(edges=["0.12", "nan"]), "decimal string"),
    (lambda card: rule(card).update(edges=["0.12", "1e-1"]), "decimal string"),
    (lambda card: rule(card)["missing"].pop("too_short"), "missing state has no bin"),
    (lambda card: rule(card)["missing"]["too_short"].update(mpts=0), "points without training firms"),
    (lambda card: rule(card)["bins"][0].update(n=81), "do not add up"),
    (lambda card: rule(card)["bins"][0].update(bad=83), "impossible counts"),
    (lambda card: rule(card).update(mean_mpts=0), "mean of the bins"),
    (lambda card: rule(card)["bins"][0].update(mpts=7753.0), "TypeError"),
    (lambda card: rule(card)["bins"][0].update(mpts=True), "TypeError"),
    (lambda card: card["bands"].reverse(), "from the best to the worst"),
    (lambda card: card["bands"].pop(), "lowest score"),
    (lambda card: card["scaling"].update(pdo=0), "scaling is impossible"),
    (lambda card: card["scaling"].update(slope=1), "TypeError"),
    (lambda card: card.update(history_months=30), "history or window"),
    (lambda card: card.update(window_months=12), "looks further back"),
    (lambda card: card["required"]["tax.vat_invoice_summary"].pop(), "required fields differ"),
    (lambda card: card["optional"].append("tax.vat_invoice_summary"), "both required and optional"),
    (lambda card: card.pop("trained"), "closed set"),
    (bad_bin_rewarded, "contradict the bin's own bad rate"),
]


@pytest.mark.parametrize(("edit", "named"), EDITS)
def test_a_broken_card_is_rejected_by_the_rule_it_breaks(edit: Edit, named: str) -> None:
    card = json.loads(TEXT)
    edit(card)
    with pytest.raises(CardRejected, match=named):
        card_file.parse(card)


def test_points_against_the_declared_direction_are_rejected() -> None:
    card = json.loads(TEXT)
    each = rule(card)
    each["bins"][0]["mpts"], each["bins"][1]["mpts"] = each["bins"][1]["mpts"], each["bins"][0]["mpts"]
    with_mean(each)
    with pytest.raises(CardRejected, match="declared direction"):
        card_file.parse(card)


def test_a_pure_bad_bin_cannot_be_neutral() -> None:
    """Optbinning's fault: a missing bin with 124 of 124 bad got neutral points."""
    card = json.loads(TEXT)
    pure_bad_bin_made_neutral(card)
    with pytest.raises(CardRejected, match="neutral"):
        card_file.parse(card)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "no JSON"),
        ("\ufeff{}", "no JSON"),
        ("[]", "closed set"),
        ("null", "TypeError"),
        (TEXT.replace('"pseudo_firms": 20', '"pseudo_firms": 20.0'), "no exact number"),
        (TEXT.replace('"pseudo_firms": 20', '"pseudo_firms": NaN'), "no exact number"),
        (TEXT.replace('"pseudo_firms": 20', '"pseudo_firms": 20, "seed": "1"'), "stands twice"),
        (TEXT + " " * card_file.MAX_BYTES, "larger than a card"),
    ],
)
def test_a_file_that_is_no_exact_json_is_rejected(text: str, named: str) -> None:
    with pytest.raises(CardRejected, match=named):
        card_file.load(text.encode())


def test_the_digest_is_over_canonical_bytes_and_covers_everything() -> None:
    card = card_file.load(TEXT.encode())
    assert card.digest == digest(json.loads(TEXT))
    changed = json.loads(TEXT)
    changed["metrics"]["calibration_slope"] = "1.0000"
    assert card_file.parse(changed).digest != card.digest


def test_the_shipped_card_reads_only_fields_of_its_dataset() -> None:
    card = card_file.shipped()
    assert set(card.required) == {"tax.vat_invoice_summary"}
    assert {"period", "direction", "invoice_count", "amount_excl_tax"} <= set(card.required["tax.vat_invoice_summary"])
    assert "rating" not in TEXT
