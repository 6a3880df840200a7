"""Write golden.json anew: ``python -m tests.risk.write_golden``. Only after a card was changed on purpose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from consent.period import Period
from risk import card_file
from risk.assessment import assess
from risk.invoices import DATASET
from tests.risk.firms import ready, real_firms

ENTS = (1, 2, 36, 82, 99, 101, 117, 123, 124, 300, 425)


def main() -> None:
    """Score eleven real firms: good, bad, without outcome, the youngest and the silent one."""
    card, firms = card_file.shipped(), {firm.ent: firm for firm in real_firms()}
    cases = []
    for ent in ENTS:
        found = assess(
            {DATASET: firms[ent].records},
            ready(Period.parse("2018-02", "2020-01")),
            card=card,
            as_of="2020-01",
            now=datetime(2020, 2, 15, tzinfo=UTC),
        )
        cases.append(
            {
                "ent": ent,
                "mpts": found.scored.mpts,
                "score": found.score,
                "pd": f"{found.pd:.6f}",
                "band": found.band.name,
                "reasons": [f"{reason.code} {reason.lost_mpts}" for reason in found.reasons],
                "input": found.input_digests[DATASET],
            }
        )
    source = "deploy/sandbox/facts scored by risk.assessment; the points are recounted by hand in test_scorecard"
    text = json.dumps({"source": source, "card": card.digest, "cases": cases}, indent=1)
    (Path(__file__).parent / "golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
