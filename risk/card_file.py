"""Card files: JSON without floats, validated rule by rule before a firm is scored.

A card is data, so it is checked like data from a stranger: closed keys, exact numbers, bins that add up to the
training sample, points that follow the declared direction and the bad rate of their own bin (a pure bad bin can never
be neutral, reference risk.md §2.3), definitions that match today's code. The digest is SHA-256 over the canonical
bytes (RFC 8785), so white space in the file does not matter and everything else does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NoReturn

from consent.canonical import digest
from risk.characteristics import BY_NAME, WINDOW_MONTHS, Characteristic, Missing
from risk.errors import CardRejected
from risk.invoices import ALWAYS, DATASET, KEYS
from risk.scorecard import Band, Bin, Rule, Scaling, Scorecard

FORMAT = "xyd-scorecard/1"
SHIPPED = "sme_invoice_v1"
MAX_BYTES = 1_000_000

TOP_KEYS = frozenset(
    {"format", "name", "scaling", "window_months", "history_months", "intercept_mpts", "characteristics"}
    | {"bands", "required", "optional", "trained", "metrics"}
)
RULE_KEYS = frozenset({"name", "definition", "coefficient", "edges", "bins", "missing", "mean_mpts"})
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_NAME = re.compile(r"[a-z][a-z0-9_]{2,63}")


@cache
def shipped(name: str = SHIPPED) -> Scorecard:
    """A card that comes with the package, validated once per process."""
    return load((files("risk") / "cards" / f"{name}.json").read_bytes())


def load(data: bytes) -> Scorecard:
    """Validate a card file. Raises CardRejected, naming the broken rule."""
    if len(data) > MAX_BYTES:
        raise CardRejected("the file is larger than a card can be")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float
        )
    except ValueError as error:
        raise CardRejected("the file is no JSON") from error
    return parse(value)


def rounded_mean(total: int, count: int) -> int:
    """Integer mean, half upward."""
    return (2 * total + count) // (2 * count)


def parse(value: Any) -> Scorecard:
    """Validate a card's members. Raises CardRejected, naming the broken rule."""
    try:
        return _parse(value)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CardRejected(f"a member is missing or of the wrong kind: {type(error).__name__}") from error


def _parse(value: Any) -> Scorecard:
    _demand(set(value) == TOP_KEYS, "the card's members are not the closed set")
    _demand(value["format"] == FORMAT, "unknown format")
    trained = value["trained"]
    rules = tuple(_rule(each, _int(trained["n"]), _int(trained["bad"])) for each in value["characteristics"])
    names = [rule.characteristic.name for rule in rules]
    _demand(bool(rules) and len(set(names)) == len(names), "characteristics are empty or repeated")
    card = Scorecard(
        name=value["name"],
        digest=digest(value),
        scaling=Scaling(**{key: _int(number) for key, number in value["scaling"].items()}),
        window_months=_int(value["window_months"]),
        history_months=_int(value["history_months"]),
        trained_history_months=_int(trained["min_history_months"]),
        intercept_mpts=_int(value["intercept_mpts"]),
        rules=rules,
        bands=tuple(Band(each["name"], _int(each["low"]), each["zh"], each["en"]) for each in value["bands"]),
        required={name: tuple(fields) for name, fields in value["required"].items()},
        optional=tuple(value["optional"]),
    )
    _check_whole(card)
    return card


def _check_whole(card: Scorecard) -> None:
    """Rules over the card as a whole."""
    scaling, lows = card.scaling, [band.low for band in card.bands]
    _demand(bool(_NAME.fullmatch(card.name)), "the card's name is malformed")
    _demand(scaling.pdo > 0 and scaling.odds > 0 and scaling.low < scaling.high, "the scaling is impossible")
    _demand(all(better > worse for better, worse in pairwise(lows)), "bands do not run from the best to the worst")
    _demand(bool(lows) and lows[-1] <= scaling.low, "the last band does not reach the lowest score")
    _demand(1 <= card.history_months <= card.window_months <= WINDOW_MONTHS, "history or window is impossible")
    widest = max(rule.characteristic.window_months for rule in card.rules)
    _demand(widest <= card.window_months, "a characteristic looks further back than the card's window")
    _demand(dict(card.required) == required(tuple(r.characteristic for r in card.rules)), "required fields differ")
    _demand(not set(card.required) & set(card.optional), "a dataset is both required and optional")


def required(chosen: tuple[Characteristic, ...]) -> dict[str, tuple[str, ...]]:
    """Datasets and fields that these characteristics read, keys of the records included."""
    fields = {*KEYS, *ALWAYS}
    for each in chosen:
        fields.update(each.fields)
    return {DATASET: tuple(sorted(fields))}


def _rule(value: Any, n: int, bad: int) -> Rule:
    _demand(set(value) == RULE_KEYS, "a characteristic's members are not the closed set")
    characteristic = BY_NAME.get(value["name"])
    if characteristic is None:
        raise CardRejected(f"unknown characteristic {value['name']!r}")
    name = characteristic.name
    _demand(value["definition"] == characteristic.definition(), f"{name}: made for another definition")
    _demand(_decimal(value["coefficient"]) > 0, f"{name}: coefficient is not positive")
    edges = tuple(_decimal(edge) for edge in value["edges"])
    bins = tuple(_bin(each) for each in value["bins"])
    missing = {Missing(state): _bin(each) for state, each in value["missing"].items()}
    _demand(set(missing) == set(Missing), f"{name}: a missing state has no bin")
    _demand(all(low < high for low, high in pairwise(edges)), f"{name}: edges do not rise")
    _demand(len(bins) == len(edges) + 1, f"{name}: bins and edges do not fit")
    rule = Rule(characteristic, edges, bins, missing, _int(value["mean_mpts"]))
    _check_points(rule, n, bad)
    return rule


def _check_points(rule: Rule, n: int, bad: int) -> None:
    """The points of one characteristic against the sample they were learned from."""
    name, places = rule.characteristic.name, (*rule.bins, *rule.missing.values())
    _demand(all(0 <= each.bad <= each.n for each in places), f"{name}: impossible counts")
    counts = (sum(each.n for each in places), sum(each.bad for each in places))
    _demand(counts == (n, bad), f"{name}: bins do not add up to the sample")
    _demand(all(each.n for each in rule.bins), f"{name}: a bin without training firms")
    _demand(all((each.mpts is None) == (each.n == 0) for each in places), f"{name}: points without training firms")
    for each in places:
        excess = each.bad * n - each.n * bad
        _demand((each.mpts or 0) * excess <= 0, f"{name}: points contradict the bin's own bad rate")
        # A whole default more or less than expected shows in the points: neutral would be a silent fault.
        _demand(each.mpts != 0 or abs(excess) < n, f"{name}: a bin that tells something is neutral")
    own = [(each.mpts or 0) * rule.characteristic.direction for each in rule.bins]
    _demand(all(low <= high for low, high in pairwise(own)), f"{name}: points contradict the declared direction")
    mean = rounded_mean(sum((each.mpts or 0) * each.n for each in places), n)
    _demand(rule.mean_mpts == mean, f"{name}: mean points are not the mean of the bins")


def _bin(value: Any) -> Bin:
    _demand(set(value) == {"mpts", "n", "bad"}, "a bin's members are not the closed set")
    mpts = value["mpts"]
    return Bin(None if mpts is None else _int(mpts), _int(value["n"]), _int(value["bad"]))


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not an integer")
    return value


def _decimal(value: Any) -> float:
    _demand(isinstance(value, str) and _DECIMAL.fullmatch(value) is not None, "a number is no decimal string")
    return float(value)


def _demand(holds: bool, rule: str) -> None:
    if not holds:
        raise CardRejected(rule)


def _object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    _demand(len(members) == len(pairs), "a member stands twice")
    return members


def _no_float(text: str) -> NoReturn:
    raise CardRejected(f"{text[:20]} is no exact number: write a decimal string")
