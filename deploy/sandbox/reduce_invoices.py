"""Reduce the raw CUMCM 2020-C invoices to the monthly facts the sandbox ships.

Run once by a developer: ``python -m deploy.sandbox.reduce_invoices RAW_FOLDER FACTS_FOLDER``.
RAW_FOLDER holds ``cumcm_invoices_*.parquet`` and ``cumcm_enterprises_*.csv``; no single invoice
leaves it. Output bytes depend on the input only (sorted rows, fixed xz preset, no time stamps).
Needs pandas and pyarrow, which are development dependencies and therefore imported inside functions.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import lzma
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = "2016-10", "2020-01"
"""Full months only: the raw data break off on 2020-02-21."""

KEY = ["ent", "period", "direction"]
COUNTS = ["voided_count", "red_count", "red_amount_yuan", "counterparty_count"]
COLUMNS = [*KEY, "invoice_count", "amount_yuan", "tax_yuan", *COUNTS, "top1_bp", "top5_bp"]
TEXT_FILTER = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
"""Text wants literal context, no alignment: two per cent smaller than the preset alone."""

SOURCE = "Giyn/CUMCM2020C@25e2f8b"


def read_raw(folder: Path) -> pd.DataFrame:
    """All invoices of the 425 firms inside FIRST..LAST; amounts in fen, ``period`` as YYYY-MM."""
    import pandas as pd  # noqa: PLC0415 - a development dependency

    names = ("cumcm_invoices_123_labelled.parquet", "cumcm_invoices_302_unlabelled.parquet")
    wanted = ["ent", "sell", "date", "party", "amount_fen", "tax_fen", "void"]
    raw = pd.concat([pd.read_parquet(folder / name, columns=wanted) for name in names], ignore_index=True)
    raw["period"] = raw["date"].dt.strftime("%Y-%m")
    raw["direction"] = raw["sell"].map({True: "out", False: "in"})
    return raw[(raw["period"] >= FIRST) & (raw["period"] <= LAST)]


def _half_up(numerator: pd.Series, denominator: pd.Series | int) -> pd.Series:
    """Integer quotient rounded half away from zero, without a float in between."""
    sign = numerator.lt(0).map({True: -1, False: 1})
    return sign * ((2 * numerator.abs() + denominator) // (2 * denominator))


def _concentration(live: pd.DataFrame) -> pd.DataFrame:
    """Share of the largest and the five largest counterparties in positive amounts, basis points."""
    party = live[live["amount_fen"] > 0].groupby([*KEY, "party"])["amount_fen"].sum().reset_index()
    ranked = party.sort_values([*KEY, "amount_fen"], ascending=[True, True, True, False])
    by_month = ranked.groupby(KEY)["amount_fen"]
    total, top1 = by_month.sum(), by_month.max()
    top5 = ranked[by_month.cumcount() < 5].groupby(KEY)["amount_fen"].sum()
    shares = total.to_frame("total")
    shares["top1_bp"] = _half_up(top1 * 10_000, total)
    shares["top5_bp"] = _half_up(top5 * 10_000, total)
    return shares[["top1_bp", "top5_bp"]]


def reduce_months(raw: pd.DataFrame) -> pd.DataFrame:
    """One row per firm, month and direction that has at least one invoice; columns are COLUMNS.

    ``invoice_count`` counts every invoice, void and red ones included. Void ones add nothing else.
    Shares are empty where the month has no positive amount.
    """
    live = raw[~raw["void"]]
    red = live[live["amount_fen"] < 0]
    facts = raw.groupby(KEY).size().to_frame("invoice_count")
    facts["voided_count"] = raw[raw["void"]].groupby(KEY).size()
    facts["amount"] = live.groupby(KEY)["amount_fen"].sum()
    facts["tax"] = live.groupby(KEY)["tax_fen"].sum()
    facts["red_count"] = red.groupby(KEY).size()
    facts["red_amount"] = -red.groupby(KEY)["amount_fen"].sum()
    facts["counterparty_count"] = live.groupby(KEY)["party"].nunique()
    facts = facts.fillna(0).astype("int64")
    for name in ("amount", "tax", "red_amount"):
        facts[f"{name}_yuan"] = _half_up(facts[name], 100)
    facts = facts.join(_concentration(live).astype("Int64"))
    return facts.reset_index()[COLUMNS].sort_values(["direction", "ent", "period"], ignore_index=True)


def pack(facts: pd.DataFrame) -> bytes:
    """The table as xz-compressed CSV, LF line ends."""
    text = facts.to_csv(index=False, lineterminator="\n")
    return lzma.compress(text.encode(), format=lzma.FORMAT_XZ, filters=TEXT_FILTER)


def firms(folder: Path) -> str:
    """CSV ``ent,name,rating,default`` of all firms; the last two are empty without a credit record."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["ent", "name", "rating", "default"])
    for name in ("cumcm_enterprises_123.csv", "cumcm_enterprises_302.csv"):
        with (folder / name).open(encoding="utf-8-sig", newline="") as source:
            for row in csv.DictReader(source):
                writer.writerow([row["ent"], row["name"].strip(), row.get("rating", ""), row.get("default", "")])
    return out.getvalue()


def provenance(raw_rows: int, facts: pd.DataFrame, packed: bytes, firm_text: str) -> str:
    """PROVENANCE.md: where the facts come from, what was dropped, what may be done with them."""
    digest, firm_digest = hashlib.sha256(packed).hexdigest(), hashlib.sha256(firm_text.encode()).hexdigest()
    return f"""# Provenance of the sandbox facts

- Origin: problem C of the Chinese contest CUMCM 2020 (高教社杯全国大学生数学建模竞赛), annexes 1 and 2: value-added-tax
  invoices of 123 firms with a credit record and 302 without. Taken from the repository {SOURCE},
  `data/credit_history_enterprise_*` and the files of the firms without credit record.
- Licence: the contest published the annexes for free download **without an explicit licence**. Therefore no invoice,
  invoice number, date or counterparty is kept here: only facts summed over a month. The contest masked the names.
- Reduced by `deploy/sandbox/reduce_invoices.py`: {raw_rows:,} invoices dated {FIRST}..{LAST} became
  {len(facts):,} rows. February 2020 breaks off on the 21st and is left out.

## `invoices.csv.xz`

SHA-256 `{digest}`

One row per firm, month and direction that has an invoice. A firm, month or direction without a row had none.

| column | meaning |
|---|---|
| ent | number of the firm, 1..123 with credit record, 124..425 without |
| period | month of the invoice date, not shifted |
| direction | `out` sales invoices (销项), `in` purchase invoices (进项) |
| invoice_count | all invoices, void and red ones included |
| amount_yuan, tax_yuan | net sum of those not void, red ones negative, without tax; rounded to whole yuan |
| voided_count | void invoices (作废); they count nowhere else but in invoice_count |
| red_count, red_amount_yuan | those not void with a negative amount (红字); amount as a positive number |
| counterparty_count | different counterparties of those not void |
| top1_bp, top5_bp | share of the largest and of the five largest counterparties in the positive amounts |

The shares are basis points of the positive amounts not void, and empty in a month without such an amount.

## `firms.csv`

SHA-256 `{firm_digest}`

`ent,name,rating,default`. `default` 1 = the firm defaulted (27 of 123), empty = no credit record. The date of the
default is not published. `rating` is the bank's own grade; D was given knowing the outcome, so it is **never** a
characteristic of a card.
"""


def main(arguments: list[str] | None = None) -> None:
    """Write invoices.csv.xz, firms.csv and PROVENANCE.md into the facts folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("facts", type=Path)
    chosen = parser.parse_args(arguments)
    raw = read_raw(chosen.raw)
    facts = reduce_months(raw)
    packed, firm_text = pack(facts), firms(chosen.raw)
    chosen.facts.mkdir(parents=True, exist_ok=True)
    (chosen.facts / "invoices.csv.xz").write_bytes(packed)
    (chosen.facts / "firms.csv").write_text(firm_text, encoding="utf-8", newline="\n")
    text = provenance(len(raw), facts, packed, firm_text)
    (chosen.facts / "PROVENANCE.md").write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(raw)} invoices -> {len(facts)} rows, {len(packed)} bytes")


if __name__ == "__main__":
    main()
