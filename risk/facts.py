"""Read the committed facts (``deploy/sandbox/facts``) as the records a tax department would send.

Training sees a firm exactly as scoring does: the same record shape, the same arrays, the same characteristics.
Columns are described in the facts' PROVENANCE.md. Only the folder named by the caller is read.
"""

from __future__ import annotations

import csv
import lzma
from dataclasses import dataclass
from pathlib import Path

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Firm:
    """One firm: its number, whether it defaulted (None = no credit record) and its monthly invoice records."""

    ent: int
    default: bool | None
    records: tuple[Record, ...]


def money(yuan: int) -> str:
    """Whole yuan as the catalogue's money string."""
    return f"{yuan}.00"


def percent(basis_points: str) -> str | None:
    """Basis points as the catalogue's percentage string; empty stays missing."""
    return f"{int(basis_points) // 100}.{int(basis_points) % 100:02d}00" if basis_points else None


def record(row: dict[str, str]) -> Record:
    """A row of invoices.csv.xz as a record of ``tax.vat_invoice_summary``, months not shifted."""
    return {
        "period": row["period"],
        "direction": row["direction"],
        "invoice_count": int(row["invoice_count"]),
        "amount_excl_tax": money(int(row["amount_yuan"])),
        "tax_amount": money(int(row["tax_yuan"])),
        "voided_count": int(row["voided_count"]),
        "red_count": int(row["red_count"]),
        "red_amount": money(int(row["red_amount_yuan"])),
        "counterparty_count": int(row["counterparty_count"]),
        "top1_share": percent(row["top1_bp"]),
        "top5_share": percent(row["top5_bp"]),
    }


def read(folder: Path) -> tuple[Firm, ...]:
    """All firms, by number. Raises OSError or ValueError when the facts are damaged."""
    records: dict[int, list[Record]] = {}
    with lzma.open(folder / "invoices.csv.xz", "rt", encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            records.setdefault(int(row["ent"]), []).append(record(row))
    with (folder / "firms.csv").open(encoding="utf-8", newline="") as source:
        labels = {int(row["ent"]): row["default"] for row in csv.DictReader(source)}
    return tuple(
        Firm(ent, None if label == "" else label == "1", tuple(records.get(ent, ())))
        for ent, label in sorted(labels.items())
    )
