"""Reason codes: complete, ordered, told with the firm's own value only where that is allowed."""

from __future__ import annotations

import json

from hypothesis import given, settings

from consent.canonical import canonical
from risk import card_file, reasons, scorecard
from risk.characteristics import Missing, measure
from risk.scorecard import Contribution
from tests.risk.firms import histories, months, record, steady, view

CARD = card_file.shipped()


@settings(max_examples=60, deadline=None)
@given(histories())
def test_topics_sum_exactly_and_the_top_four_are_the_greatest_losses(records: list[dict[str, object]]) -> None:
    measured = measure(view(records))
    if any(isinstance(measured[rule.characteristic.name], Missing) for rule in CARD.rules):
        return
    scored = scorecard.score(CARD, measured)
    every = reasons.by_topic(scored)
    assert sum(reason.lost_mpts for reason in every) == CARD.mean_mpts - scored.mpts
    assert len({reason.topic for reason in every}) == len(every)
    losses = [reason.lost_mpts for reason in every]
    assert losses == sorted(losses, reverse=True)
    assert reasons.top(scored) == tuple(reason for reason in every if reason.lost_mpts > 0)[:4]


def test_the_leading_characteristic_of_a_reason_lost_points_itself() -> None:
    scored = scorecard.score(
        CARD, measure(view([record(month) for month in months()[::2]] + [record("2026-10", "in")]))
    )
    for reason in reasons.top(scored):
        members = [each for each in scored.contributions if each.characteristic.topic == reason.topic]
        assert reason.leading.lost_mpts == max(each.lost_mpts for each in members) > 0


def test_a_reason_names_the_own_value_in_both_languages() -> None:
    records = [record(month, voided_count=4, invoice_count=8) for month in months()]
    scored = scorecard.score(CARD, measure(view(records)))
    (reason,) = [each for each in reasons.top(scored) if each.code == "void_share"]
    assert reason.text_zh(own_values=True) == "开票规范性：销项发票作废率50.0%，比样本平均少16.8分"
    assert (
        reason.text_en(own_values=True) == "share of void sales invoices: 50.0%; 16.8 points below the population mean"
    )


def test_without_own_values_no_figure_of_the_firm_is_told() -> None:
    records = [record(month, voided_count=4, invoice_count=8) for month in months()]
    scored = scorecard.score(CARD, measure(view(records)))
    for reason in reasons.top(scored):
        document = reason.document(own_values=False)
        assert set(document) == {"code", "topic", "points_lost", "zh", "en"}
        assert "50.0" not in json.dumps(document, ensure_ascii=False)
        canonical(document)
        assert reason.document(own_values=True)["value"] == reasons.plain(reason.leading.value)


def test_points_are_exact_decimals() -> None:
    assert [reasons.points(mpts) for mpts in (0, 5, -5, 12_345, -12_345, 100_000)] == [
        "0.000", "0.005", "-0.005", "12.345", "-12.345", "100.000",
    ]  # fmt: skip
    assert [reasons.tenth(mpts) for mpts in (0, 49, 50, 16_814, 999_950)] == ["0.0", "0.0", "0.1", "16.8", "1000.0"]


def test_values_are_told_in_their_unit() -> None:
    scored = scorecard.score(CARD, measure(view(steady())))
    told = {each.characteristic.name: reasons.value_text(each) for each in scored.contributions}
    assert told["monthly_sales"] == ("10.00万元", "100,000 yuan")
    assert told["monthly_invoices"] == ("10.00份", "10.00")
    assert told["active_share"] == ("100.0%", "100.0%")
    assert told["longest_silence"] == ("0个月", "0 months")
    assert told["purchase_ratio"] == ("1.00", "1.00")


def test_a_missing_value_is_told_as_its_state() -> None:
    rule = CARD.rules[0]
    for state in Missing:
        zh, en = reasons.value_text(Contribution(rule.characteristic, state, 0, 0))
        assert zh and en and not any(sign.isdigit() for sign in zh + en)
        assert reasons.plain(state) == state.value
