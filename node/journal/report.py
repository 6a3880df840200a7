"""What a verification found: numbered checks, each passed, failed or not made, in words for a person.

A check that was not made is never counted as passed: `Report.ok` says that nothing failed, `Report.complete` that
nothing was left out.
"""

from dataclasses import dataclass, field

from node.journal.checkpoint import Checkpoint
from node.journal.laws import LawReport
from node.journal.leaf import AnyLeaf


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered step. `ok` is None when the step was not made; the texts say why."""

    step: int
    id: str
    ok: bool | None
    zh: str
    en: str


@dataclass(slots=True)
class Report:
    """The steps in order, and what they proved: the checkpoint, the laws' report, the receipt's leaf."""

    checks: list[Check] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    laws: LawReport | None = None
    leaf: AnyLeaf | None = None
    pinned: bool = False
    """Whether the key was the caller's own. Without that, everything may hold together and still be somebody else's."""

    def note(self, identity: str, ok: bool | None, *, zh: str, en: str) -> None:
        """Add the next step."""
        self.checks.append(Check(len(self.checks) + 1, identity, ok, zh, en))

    def skip(self, *identities: str) -> None:
        """Add steps that could not be made because an earlier one failed."""
        for identity in identities:
            self.note(identity, None, zh="未检查：前一步未通过", en="not checked: an earlier step failed")

    @property
    def ok(self) -> bool:
        """Something was checked and nothing failed."""
        return any(check.ok for check in self.checks) and not any(check.ok is False for check in self.checks)

    @property
    def complete(self) -> bool:
        """Every step was made."""
        return all(check.ok is not None for check in self.checks)

    def as_json(self) -> dict[str, object]:
        """The report as JSON values."""
        checks = [{"step": c.step, "id": c.id, "ok": c.ok, "zh": c.zh, "en": c.en} for c in self.checks]
        result: dict[str, object] = {"ok": self.ok, "complete": self.complete, "checks": checks}
        if self.checkpoint is not None:
            head = self.checkpoint
            result["checkpoint"] = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
        if self.laws is not None:
            broken = [{"index": v.index, "rule": v.rule, "zh": v.zh, "en": v.en} for v in self.laws.violations]
            result["laws"] = {"violations": broken, "open": list(self.laws.open), "counters": self.laws.counters}
        return result
