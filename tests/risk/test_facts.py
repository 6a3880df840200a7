"""The committed facts: complete, consistent, told as records; and the reducer that made them."""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
from pathlib import Path

import pandas

from consent.period import Month, Period
from deploy.sandbox import reduce_invoices
from risk import facts
from risk.invoices import Invoiced, build
from tests.risk.firms import FACTS, real_firms

SPAN = Period.parse("2016-10", "2020-01")


def test_all_firms_and_only_full_months_are_there() -> None:
    firms = real_firms()
    assert [firm.ent for firm in firms] == list(range(1, 426))
    assert sum(firm.default is not None for firm in firms) == 123
    assert sum(firm.default is True for firm in firms) == 27
    periods = {str(each["period"]) for firm in firms for each in firm.records}
    assert {Month.parse(text) in SPAN for text in periods} == {True} and len(periods) == SPAN.months


def test_every_firm_builds_and_its_months_do_not_contradict_themselves() -> None:
    seen = 0
    for firm in real_firms():
        history = build(firm.records, SPAN)
        for cell in (*history.sales, *history.purchases):
            if isinstance(cell, Invoiced):
                seen += 1
                assert cell.invoice_count > 0
                assert (cell.top1_ppm is None) == (cell.top5_ppm is None)
                assert (cell.top1_ppm or 0) <= (cell.top5_ppm or 0)
                assert (cell.counterparty_count or 0) <= cell.invoice_count
    assert seen == sum(len(firm.records) for firm in real_firms()) == 23_698


def test_a_row_becomes_a_record_in_the_catalogues_types() -> None:
    row = dict.fromkeys(reduce_invoices.COLUMNS, "0")
    row |= {"period": "2019-05", "direction": "in", "amount_yuan": "-12", "top1_bp": "1250", "top5_bp": ""}
    record = facts.record(row)
    assert record["amount_excl_tax"] == "-12.00"
    assert record["top1_share"] == "12.5000" and record["top5_share"] is None
    assert facts.percent("10000") == "100.0000" and facts.percent("7") == "0.0700"


def test_provenance_names_the_source_and_the_digests_of_the_files() -> None:
    text = (FACTS / "PROVENANCE.md").read_text(encoding="utf-8")
    assert "Giyn/CUMCM2020C@25e2f8b" in text and "without an explicit licence" in text
    for name in ("invoices.csv.xz", "firms.csv"):
        assert hashlib.sha256((FACTS / name).read_bytes()).hexdigest() in text


ROWS = [  # ent, party, fen, tax, void: one month of one direction, worked by hand below
    (1, 10, 30_000, 3_900, False),
    (1, 10, 20_050, 2_606, False),
    (1, 11, 50_000, 6_500, False),
    (1, 12, -10_000, -1_300, False),
    (1, 13, 99_999, 9_999, True),
]
BY_HAND = {
    "ent": 1, "period": "2019-05", "direction": "out", "invoice_count": 5, "amount_yuan": 901, "tax_yuan": 117,
    "voided_count": 1, "red_count": 1, "red_amount_yuan": 100, "counterparty_count": 3,
    "top1_bp": 5_002, "top5_bp": 10_000,
}  # fmt: skip


def raw_folder(folder: Path, *, turned: bool) -> Path:
    """A raw data set of two firms; rows outside the full months must fall away."""
    folder.mkdir()
    names = ("ent", "party", "amount_fen", "tax_fen", "void")
    rows = [{**dict(zip(names, row, strict=True)), "sell": True, "date": "2019-05-17"} for row in ROWS]
    rows += [{**rows[0], "date": "2020-02-03"}, {**rows[0], "date": "2016-09-30"}]
    table = pandas.DataFrame(rows[::-1] if turned else rows)
    table["date"] = pandas.to_datetime(table["date"])
    table.to_parquet(folder / "cumcm_invoices_123_labelled.parquet")
    table.assign(ent=124, sell=False).to_parquet(folder / "cumcm_invoices_302_unlabelled.parquet")
    (folder / "cumcm_enterprises_123.csv").write_text("ent,name,rating,default\n1,***公司,A,0\n", encoding="utf-8")
    (folder / "cumcm_enterprises_302.csv").write_text("ent,name\n124,个体经营E124 \n", encoding="utf-8")
    return folder


def test_the_reducer_counts_a_small_month_by_hand(tmp_path: Path) -> None:
    reduce_invoices.main([str(raw_folder(tmp_path / "raw", turned=False)), str(tmp_path / "facts")])
    text = lzma.decompress((tmp_path / "facts" / "invoices.csv.xz").read_bytes()).decode()
    purchases, sales = csv.DictReader(io.StringIO(text))
    assert sales == {name: str(value) for name, value in BY_HAND.items()}
    assert purchases == {**sales, "ent": "124", "direction": "in"}
    first, second = facts.read(tmp_path / "facts")
    assert (first.default, second.default) == (False, None)
    assert len(first.records) == len(second.records) == 1


def test_the_reducers_bytes_depend_on_the_invoices_and_not_on_their_order(tmp_path: Path) -> None:
    for name, turned in (("a", False), ("b", True)):
        raw = raw_folder(tmp_path / f"raw-{name}", turned=turned)
        reduce_invoices.main([str(raw), str(tmp_path / name)])
    for file in ("invoices.csv.xz", "firms.csv", "PROVENANCE.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
