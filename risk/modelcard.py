"""The model card beside a card: what it was made from, how sure it is, what it must not be used for.

Chinese first, English after; every figure is taken from the training run, none is typed by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from risk import binning, validation
from risk.binning import Bins
from risk.card_writing import decimal
from risk.characteristics import CATALOGUE, Characteristic, Missing
from risk.evaluation import FOLDS, REPEATS, Report
from risk.fitting import LEAST_INFORMATION, Model
from risk.modelcard_text import ENGLISH, HEAD, ZH
from risk.reasons import points
from risk.sample import Sample
from risk.scorecard import Rule, Scorecard, score

ALARM_AUC, ALARM_INFORMATION = 0.9, 0.5
"""Beyond these a single characteristic may carry the outcome and wants a person's eye (reference risk.md §5.3)."""


@dataclass(frozen=True, slots=True)
class Making:
    """A finished card and the run it came from."""

    card: Scorecard
    model: Model
    sample: Sample
    report: Report


def modelcard(making: Making) -> str:
    """The Markdown text, LF line ends."""
    card, sample, report = making.card, making.sample, making.report
    figures = {
        "name": card.name,
        "digest": card.digest,
        "as_of": sample.as_of,
        "first": card.period(sample.as_of).first,
        "n": len(sample),
        "bad": sum(sample.bads),
        "rate": f"{100 * sum(sample.bads) / len(sample):.1f}",
        "history": card.history_months,
        "window": card.window_months,
        "trained_history": card.trained_history_months,
        "scheme": f"{REPEATS} × {FOLDS}",
        "auc": report.auc,
        "auc_pooled": report.auc_pooled,
        "ks": report.ks,
        "log_loss": report.log_loss,
        "slope": f"{report.slope:.2f}",
        "auc_before": f"{report.auc_year_before:.4f}",
        "n_before": report.n_year_before,
        "penalty": decimal(making.model.penalty),
        "pseudo": binning.PSEUDO_FIRMS,
        "intercept": f"{making.model.fit.intercept:.3f}",
        "base_points": points(card.intercept_mpts),
        "mean_points": points(card.mean_mpts),
        "alarms": ", ".join(_alarms(sample)) or "none / 无",
    }
    parts = [HEAD, ZH, ENGLISH]
    tables = [
        "## 分段与分值 · Bins and points",
        *map(_rule_table, card.rules),
        _single_table(making),
        _band_table(making),
    ]
    return "\n\n".join([part.strip().format(**figures) for part in parts] + tables) + "\n"


def _rule_table(rule: Rule) -> str:
    own = rule.characteristic
    lines = [
        f"### {own.label_zh} · {own.label_en} (`{own.name}`)",
        "",
        f"{own.rule}; unit {own.unit}; {own.window_months} months; no value when: {own.missing}.",
        "",
        "| bin | points | firms | defaults |",
        "|---|---|---|---|",
    ]
    low = "-∞"
    for place, high in zip(rule.bins, [*map(decimal, rule.edges), "∞"], strict=True):
        lines.append(f"| [{low}, {high}) | {points(place.mpts or 0)} | {place.n} | {place.bad} |")
        low = high
    for state in Missing:
        place = rule.missing[state]
        told = "refused · 拒评" if place.mpts is None else points(place.mpts)
        lines.append(f"| {state.value} | {told} | {place.n} | {place.bad} |")
    return "\n".join(lines)


def _single(sample: Sample, each: Characteristic) -> tuple[float, Bins]:
    """AUC of one characteristic in its declared direction over the firms that have it, and its bins."""
    values = [row[each.name] for row in sample.rows]
    known = [(value, bad) for value, bad in zip(values, sample.bads, strict=True) if not isinstance(value, Missing)]
    risks = [-each.direction * value for value, _ in known]
    return validation.auc(risks, [bad for _, bad in known]), binning.fit(values, sample.bads, each.direction)


def _alarms(sample: Sample) -> list[str]:
    raised = []
    for each in CATALOGUE:
        area, bins = _single(sample, each)
        if area > ALARM_AUC or bins.information > ALARM_INFORMATION:
            raised.append(f"`{each.name}` (AUC {area:.3f}, IV {bins.information:.2f})")
    return raised


def _single_table(making: Making) -> str:
    lines = [
        f"## 全部候选特征 · All candidates (left out below an information value of {LEAST_INFORMATION})",
        "",
        "| characteristic | AUC alone | information | coefficient | used by fold models |",
        "|---|---|---|---|---|",
    ]
    coefficients = dict(zip(making.model.bins, making.model.fit.coefficients, strict=True))
    for each in CATALOGUE:
        area, bins = _single(making.sample, each)
        used = f"{100 * making.report.chosen.get(each.name, 0.0):.0f} %"
        weight = f"{coefficients[each.name]:.3f}" if each.name in coefficients else "-"
        lines.append(f"| {each.name} | {area:.3f} | {bins.information:.3f} | {weight} | {used} |")
    return "\n".join(lines)


def _band_table(making: Making) -> str:
    card, sample = making.card, making.sample
    scored = [score(card, row) for row in sample.rows]
    lines = [
        "## 等级 · Bands (the training firms themselves, therefore flattering)",
        "",
        "| band | score from | firms | defaults | mean PD |",
        "|---|---|---|---|---|",
    ]
    for band in card.bands:
        inside = [i for i, each in enumerate(scored) if card.band(each.score) is band]
        bad = sum(sample.bads[i] for i in inside)
        mean = f"{100 * sum(scored[i].pd for i in inside) / len(inside):.1f} %" if inside else "-"
        lines.append(f"| {band.name} {band.label_zh} | {band.low} | {len(inside)} | {bad} | {mean} |")
    return "\n".join(lines)
