"""What the judgement raises.

    Unscorable      too little, or contradictory, data about this firm: an answer, not a fault
    CardRejected    a card file that must not be used: the operator's affair, before any firm is scored

``Unscorable`` is the third family beside ``consent.errors.Refusal`` and the adapters' ``SourceFailure``.
No HTTP status lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LackKind = Literal["dataset", "months", "history", "fields", "validity", "characteristic"]
"""dataset: nothing usable came; months: not collected; history: the firm is too young or never invoiced;
fields: not released; validity: contradicts itself; characteristic: the card has no bin for this state."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing: of which dataset, of which kind, named (months ``YYYY-MM``, fields, a state)."""

    dataset: str
    kind: LackKind
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.dataset} {self.kind}: {', '.join(self.names)}"

    def document(self) -> dict[str, object]:
        """The same as JSON members."""
        return {"dataset": self.dataset, "kind": self.kind, "names": list(self.names)}


class Unscorable(Exception):
    """No score can be given; ``lacks`` names everything that is missing, never a value of the firm."""

    code = "assessment.unscorable"

    def __init__(self, lacks: tuple[Lack, ...]) -> None:
        super().__init__("; ".join(map(str, lacks)))
        self.lacks = lacks

    @property
    def detail(self) -> str:
        """Safe to show to the bank and the firm."""
        return str(self)


class CardRejected(Exception):
    """A card that is malformed, contradicts itself or was made for other definitions; says which rule broke."""

    code = "card.rejected"
