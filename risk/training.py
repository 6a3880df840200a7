"""Train a scorecard: ``python -m risk.training --facts deploy/sandbox/facts --out risk/cards``.

Shrunken monotone bins, ridge logistic with coefficients ≥ 0, ridge strength by inner log-loss (reference risk.md §5.2).
Bins, choice of characteristics and ridge are learned again inside every fold, so no firm teaches a model that judges
it. The same facts give the same bytes. The bank's own ``rating`` is not even read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from risk import card_file, facts
from risk.card_writing import HISTORY_MONTHS, Training, members
from risk.evaluation import Report, evaluate
from risk.fitting import Model, train
from risk.modelcard import Making, modelcard
from risk.sample import LAST_FULL_MONTH, Sample, take

NAME = card_file.SHIPPED
SEED = "20261123"
FACT_FILES = ("firms.csv", "invoices.csv.xz")


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: the two files, and what they were made from."""

    card: bytes
    text: bytes
    model: Model
    sample: Sample
    report: Report


def run(folder: Path) -> Trained:
    """Read the facts, cross-validate, train on all labelled firms, validate the card as a loader would."""
    firms = facts.read(folder)
    sample = take(firms, LAST_FULL_MONTH, HISTORY_MONTHS)
    report = evaluate(sample, take(firms, LAST_FULL_MONTH.shift(-12), HISTORY_MONTHS), SEED)
    model = train(sample, SEED)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FACT_FILES}
    value = members(model, sample, report, Training(NAME, SEED, digests))
    data = (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
    card = card_file.load(data)
    text = modelcard(Making(card, model, sample, report))
    return Trained(data, text.encode(), model, sample, report)


def main(arguments: list[str] | None = None) -> None:
    """Write ``sme_invoice_v1.json`` and its model card, print what was found."""
    parser = argparse.ArgumentParser(description="Train the scorecard that comes with the node.")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    trained = run(chosen.facts)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / f"{NAME}.json").write_bytes(trained.card)
    (chosen.out / f"{NAME}.md").write_bytes(trained.text)
    report = trained.report
    sys.stdout.write(
        f"{len(trained.sample)} firms, {sum(trained.sample.bads)} defaults\n"
        f"AUC {report.auc} (Nadeau-Bengio)\nAUC {report.auc_pooled} (pooled, bootstrap)\n"
        f"KS {report.ks} (pooled, bootstrap)\nlog-loss {report.log_loss}\nslope {report.slope:.4f}\n"
    )


if __name__ == "__main__":
    main()
