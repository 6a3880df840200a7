"""Reason codes: why a score is what it is, in Chinese and English, with the firm's own value.

Points lost are measured against the population mean (reference risk.md §5.4: against the maximum, the same
characteristic is always to blame). Correlated characteristics share a topic, and a topic speaks once.
"""

from __future__ import annotations

from dataclasses import dataclass

from risk.characteristics import Missing, Topic, Unit, Value
from risk.scorecard import MILLI, Contribution, Scored

TOP = 4
STRENGTHS = 2

TOPIC_ZH: dict[Topic, str] = {
    "scale": "经营规模", "activity": "开票活跃度", "stability": "经营稳定性",
    "conduct": "开票规范性", "counterparties": "交易对手结构", "balance": "进销匹配",
}  # fmt: skip
_MISSING_TEXT: dict[Missing, tuple[str, str]] = {
    Missing.NOT_COLLECTED: ("未采集", "not collected"),
    Missing.FIELD_ABSENT: ("数源未提供", "not released by the source"),
    Missing.TOO_SHORT: ("历史过短", "history too short"),
    Missing.UNDEFINED: ("无法计算", "cannot be computed"),
}
_UNIT_TEXT: dict[Unit, tuple[str, str]] = {
    "yuan_per_month": ("元", " yuan"),
    "invoices_per_month": ("份", ""),
    "parties_per_month": ("个", ""),
    "months": ("个月", " months"),
    "share": ("%", "%"),
    "ratio": ("", ""),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One topic. ``lost_mpts`` sums the topic's characteristics; ``leading`` lost most of them and is told."""

    code: str
    topic: Topic
    lost_mpts: int
    leading: Contribution

    def text_zh(self, *, own_values: bool) -> str:
        """Chinese sentence, with or without the firm's own value."""
        own = value_text(self.leading)[0] if own_values else ""
        return f"{TOPIC_ZH[self.topic]}：{self.leading.characteristic.label_zh}{own}，{_against(self.lost_mpts)[0]}"

    def text_en(self, *, own_values: bool) -> str:
        """English sentence, with or without the firm's own value."""
        own = f": {value_text(self.leading)[1]}" if own_values else ""
        return f"{self.leading.characteristic.label_en}{own}; {_against(self.lost_mpts)[1]}"

    def document(self, *, own_values: bool) -> dict[str, object]:
        """JSON members; numbers that are no integers stand as decimal strings."""
        members: dict[str, object] = {
            "code": self.code,
            "topic": self.topic,
            "points_lost": points(self.lost_mpts),
            "zh": self.text_zh(own_values=own_values),
            "en": self.text_en(own_values=own_values),
        }
        return {**members, "value": plain(self.leading.value)} if own_values else members


def by_topic(scored: Scored) -> tuple[Reason, ...]:
    """All topics, greatest loss first. Their losses sum exactly to mean score minus score, both before clipping."""
    groups: dict[Topic, list[Contribution]] = {}
    for each in scored.contributions:
        groups.setdefault(each.characteristic.topic, []).append(each)
    found = [_reason(topic, members) for topic, members in groups.items()]
    return tuple(sorted(found, key=lambda reason: (-reason.lost_mpts, reason.code)))


def top(scored: Scored) -> tuple[Reason, ...]:
    """At most four topics that cost the firm points, greatest loss first."""
    return tuple(reason for reason in by_topic(scored) if reason.lost_mpts > 0)[:TOP]


def strengths(scored: Scored) -> tuple[Reason, ...]:
    """At most two topics that gained the firm points against the population mean, greatest gain first."""
    gains = [reason for reason in reversed(by_topic(scored)) if reason.lost_mpts < 0][:STRENGTHS]
    return tuple(_led_by_best(reason, scored) for reason in gains)


def _led_by_best(reason: Reason, scored: Scored) -> Reason:
    members = (each for each in scored.contributions if each.characteristic.topic == reason.topic)
    best = min(members, key=lambda each: (each.lost_mpts, each.characteristic.name))
    return Reason(best.characteristic.name, reason.topic, reason.lost_mpts, best)


def _reason(topic: Topic, members: list[Contribution]) -> Reason:
    leading = max(members, key=lambda each: (each.lost_mpts, each.characteristic.name))
    return Reason(leading.characteristic.name, topic, sum(each.lost_mpts for each in members), leading)


def _against(lost_mpts: int) -> tuple[str, str]:
    size = tenth(abs(lost_mpts))
    if lost_mpts > 0:
        return f"比样本平均少{size}分", f"{size} points below the population mean"
    return f"比样本平均多{size}分", f"{size} points above the population mean"


def tenth(mpts: int) -> str:
    """Thousandths of a point, not negative, told to one decimal."""
    tenths = (mpts + 50) // 100
    return f"{tenths // 10}.{tenths % 10}"


def points(mpts: int) -> str:
    """Thousandths of a point as an exact decimal string."""
    sign = "-" if mpts < 0 else ""
    return f"{sign}{abs(mpts) // MILLI}.{abs(mpts) % MILLI:03d}"


def plain(value: Value) -> str:
    """The value as decimal string with six digits, or the name of its state."""
    return str(value) if isinstance(value, Missing) else f"{value:.6f}"


def value_text(contribution: Contribution) -> tuple[str, str]:
    """The firm's own value in Chinese and English."""
    value, unit = contribution.value, contribution.characteristic.unit
    if isinstance(value, Missing):
        return _MISSING_TEXT[value]
    zh, en = _UNIT_TEXT[unit]
    if unit == "yuan_per_month":
        told = f"{value / 10_000:,.2f}万" if abs(value) >= 10_000 else f"{value:,.0f}"
        return f"{told}{zh}", f"{value:,.0f}{en}"
    number = f"{value * 100:.1f}" if unit == "share" else f"{value:.0f}" if unit == "months" else f"{value:,.2f}"
    return f"{number}{zh}", f"{number}{en}"
