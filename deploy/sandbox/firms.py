"""The 425 fictitious firms of the sandbox: who they are, and the measure of their business over 36 months.

Their invoices are real (facts/PROVENANCE.md); their names, codes and everything other departments state are made up
here from a fixed seed, so that headcount and meters follow the invoices. Same seed, same bytes: only integers and
`random.Random` seeded by text are used, and no draw depends on the day.

The invoices end in 2020-01. `shift` moves months by a whole number so that this becomes the last complete month
before today; every statement says so in its provenance.
"""

from __future__ import annotations

import csv
import hashlib
import lzma
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import NamedTuple

from consent.enterprise import CreditCode, issue_fictitious
from consent.period import Month
from deploy.sandbox.firms_names import Trade, name_of, trade_of

SEED = 20261123
FIRMS = 425
LAST_REAL = Month.parse("2020-01")
MONTHS = 36
"""The longest look-back of the catalogue's monthly items."""
SIMULATED = f"simulated:seed={SEED}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A firm worth meeting: its number, a short key, Chinese words for a demonstration, datasets that are down."""

    ent: int
    key: str
    title: str
    story: str
    down: frozenset[str] = frozenset()


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        31, "good", "经营稳健的食品企业", "二十四个月开票连续且增长，社保按时足额，水电气均无欠费，各部门数据齐全。"
    ),
    Scenario(
        82,
        "arrears",
        "拖欠与断档的商贸企业",
        "开票有断月且下滑，近几个月社保欠缴、电费逾期，并有欠税公告；用于观察风险提示与数据缺口如何标注。",
    ),
    Scenario(
        48,
        "water_down",
        "供水数源中断的化工企业",
        "其他部门数据齐全，唯独供水企业接口对该户停止服务；查询应为部分成功，缺失是一种状态而不是零。",
        frozenset({"water.water_usage"}),
    ),
    Scenario(
        117,
        "thin",
        "记录稀少的咨询企业",
        "开票月份很少，未参加社会保险，也没有水气户头；授权月份不足时系统说明缺什么而不评分，足够时评分很低并说明原因。",
    ),
)
_STRAIN = {31: 0, 82: 3, 48: 0, 117: 2}


class Invoices(NamedTuple):
    """One month and direction of a firm's real invoices; money in yuan, shares in basis points or None."""

    period: Month
    direction: str
    invoice_count: int
    amount_yuan: int
    tax_yuan: int
    voided_count: int
    red_count: int
    red_amount_yuan: int
    counterparty_count: int
    top1_bp: int | None
    top5_bp: int | None


@dataclass(frozen=True, slots=True)
class Firm:
    """One firm. `sales` holds net sales in yuan (never below 0) of the last 36 months, the last being LAST_REAL.

    `opened`/`ceased`: first month with an invoice, and the month after which business stopped (None = it goes on), both
    unshifted. `strain`: how hard paying is, 0 punctual, 1 now and then late, 2 gaps, 3 in arrears; drawn with the trend
    of sales, never with the label.
    """

    ent: int
    code: CreditCode
    name: str
    trade: Trade
    opened: Month
    ceased: Month | None
    sales: tuple[int, ...]
    strain: int
    region: str

    @property
    def mean_sales(self) -> int:
        """Yuan a month over the months since the firm opened, at least 1."""
        alive = [value for month, value in zip(window(), self.sales, strict=True) if month >= self.opened]
        return max(1, sum(alive) // max(1, len(alive)))

    def level(self, index: int, span: int) -> int:
        """Sales of the `span` months up to `index` against the mean, per mille, 0..3000."""
        part = self.sales[max(0, index - span + 1) : index + 1]
        return min(3000, 1000 * sum(part) // len(part) // self.mean_sales)

    def alive(self, month: Month) -> bool:
        """The firm does business in the (unshifted) month."""
        return month >= self.opened and (self.ceased is None or month <= self.ceased)


def window() -> tuple[Month, ...]:
    """The 36 unshifted months, oldest first."""
    return tuple(LAST_REAL.shift(back) for back in range(1 - MONTHS, 1))


def shift(today: date) -> int:
    """By how many months facts move so that LAST_REAL is the last complete month before `today`."""
    return today.year * 12 + today.month - 2 - LAST_REAL.ordinal


def real(today: date) -> str:
    """The provenance of invoices as of today."""
    return f"real:cumcm-2020c months shifted {shift(today):+d}"


def dice(ent: int, topic: str) -> random.Random:
    """The firm's own dice for a topic: one topic's draws never move another's."""
    return random.Random(f"{SEED}/{ent}/{topic}")


def digest_of(ent: int, topic: str) -> str:
    """A fictitious account number's digest, 64 hex digits."""
    return hashlib.sha256(f"{SEED}/{ent}/{topic}".encode()).hexdigest()


@cache
def invoices() -> Mapping[int, tuple[Invoices, ...]]:
    """Every firm's monthly invoice facts, by number, in file order."""
    packed = resources.files("deploy.sandbox").joinpath("facts", "invoices.csv.xz").read_bytes()
    found: dict[int, list[Invoices]] = {ent: [] for ent in range(1, FIRMS + 1)}
    for row in csv.DictReader(lzma.decompress(packed).decode("utf-8").splitlines()):
        counts = [int(row[name]) for name in Invoices._fields[2:9]]
        shares = [int(row[name]) if row[name] else None for name in Invoices._fields[9:]]
        found[int(row["ent"])].append(Invoices(Month.parse(row["period"]), row["direction"], *counts, *shares))
    return {ent: tuple(rows) for ent, rows in found.items()}


@cache
def masked_names() -> Mapping[int, str]:
    """The contest's masked names, which show the trade."""
    text = resources.files("deploy.sandbox").joinpath("facts", "firms.csv").read_text(encoding="utf-8")
    return {int(row["ent"]): row["name"] for row in csv.DictReader(text.splitlines())}


@cache
def firm(ent: int) -> Firm:
    """The firm of a number 1..425. Raises KeyError for another number."""
    rows, masked = invoices()[ent], masked_names()[ent]
    by_month = {row.period: row.amount_yuan for row in rows if row.direction == "out"}
    sales = tuple(max(0, by_month.get(month, 0)) for month in window())
    last = max(row.period for row in rows)
    region = dice(ent, "region").choice(("320100", "320200", "320400", "320500", "320600", "321000"))
    return Firm(
        ent=ent,
        code=issue_fictitious(ent),
        name=name_of(ent, masked),
        trade=trade_of(masked),
        opened=min(row.period for row in rows),
        ceased=last.shift(2) if last < LAST_REAL.shift(-6) else None,
        sales=sales,
        strain=_STRAIN.get(ent, _strain(ent, sales)),
        region=region,
    )


def _strain(ent: int, sales: tuple[int, ...]) -> int:
    """Shrinking firms pay later: the last half year against the year before decides the odds, per cent."""
    recent, before = sum(sales[-6:]) * 2, max(1, sum(sales[-18:-6]))
    odds = (85, 10, 4, 1) if recent >= before else (65, 20, 10, 5) if recent * 2 >= before else (40, 25, 20, 15)
    return dice(ent, "strain").choices(range(4), odds)[0]


def firms() -> tuple[Firm, ...]:
    """All 425, by number."""
    return tuple(firm(ent) for ent in range(1, FIRMS + 1))


@cache
def numbers() -> Mapping[str, int]:
    """The number of each credit code."""
    return {str(issue_fictitious(ent)): ent for ent in range(1, FIRMS + 1)}


def down_for(ent: int) -> frozenset[str]:
    """Datasets whose department is out of order for the firm by its scenario."""
    return frozenset().union(*(scenario.down for scenario in SCENARIOS if scenario.ent == ent))
