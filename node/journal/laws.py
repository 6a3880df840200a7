"""The laws of the house, run again over a whole log: pure, in order, from the leaves alone.

Rule ids (stable; `index` is the leaf that breaks the rule):

    open.first        the first leaf is OPEN, and no other is
    time.backwards    `ts` is never less than the one before
    seq.gap           the leaves of a pseudonym carry 1..n without a gap; leaves without one carry 0
    grant.version     a further GRANT of the same id has the next version and the same parties, and none was revoked
    grant.items       every item's period begins before it ends, and each dataset stands once
    grant.unknown     TOKEN, STOP, REVOKE, REQ, REL and ASSESS name a grant given earlier
    grant.dead        TOKEN, REQ, REL, ASSESS: nb <= ts < na, and no REVOKE of the grant stands earlier
    grant.stale       TOKEN, REQ, REL, ASSESS: `ver` is the grant's present version; REVOKE: the next one
    grant.parties     same bank, and same enterprise, as the GRANT
    grant.purpose     same purpose as the GRANT
    grant.scope       every item of a REQ lies inside an item of the GRANT (dataset, form, months, fields)
    grant.max         no more REQs under the grant than it allows
    req.twice         a request id is admitted once
    req.missing       REL and ASSESS have an earlier REQ of the same id
    req.parties       REL, ASSESS, DENY, ABORT: same bank and enterprise as the REQ; REL, ASSESS: also its purpose,
                      grant and version
    req.scope         every item of a REL or ASSESS lies inside an item of the REQ
    req.ended         no REL or ASSESS after an ABORT or DENY of the same request
    rel.retry         the first REL of a request has no `retry_of`; a further one names the first and repeats its items
    assess.repeat     a further ASSESS of a request repeats the first one's items and card

A REQ with no REL, ASSESS, DENY or ABORT after it is `open`: listed, not a violation, because it may still be under way.
The form `read` covers `model` (what may be read may also be scored), as in `consent.scope`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from consent.catalogue import Form
from consent.scope import form_covers
from node.journal.leaf import (
    Abort,
    AnyLeaf,
    Assess,
    Deny,
    Grant,
    Open,
    Release,
    Request,
    Revoke,
    Stop,
    Token,
    kind_of,
)

Ended = Release | Assess
TEXTS: dict[str, tuple[str, str]] = {
    "open.first": ("首条必须且只有首条是 OPEN", "the first leaf, and only the first, is OPEN"),
    "time.backwards": ("时间倒退", "time went backwards"),
    "seq.gap": ("主体序号不连续", "the enterprise's counter has a gap"),
    "grant.version": ("授权版本不连续或授权已撤销", "a new version of a grant does not follow the last one"),
    "grant.items": ("授权信息项不合规", "an item of the grant is malformed or named twice"),
    "grant.unknown": ("引用了不存在的授权", "names a grant that was never given"),
    "grant.dead": ("授权未生效、已到期或已撤销", "the grant was not in force"),
    "grant.stale": ("授权版本不符", "names another version of the grant"),
    "grant.parties": ("与授权的机构或企业不符", "another bank or enterprise than the grant's"),
    "grant.purpose": ("与授权用途不符", "another purpose than the grant's"),
    "grant.scope": ("请求超出授权范围", "asks for more than the grant covers"),
    "grant.max": ("请求次数超出授权", "more requests than the grant allows"),
    "req.twice": ("请求编号重复", "the request id was admitted before"),
    "req.missing": ("没有对应的在先请求", "has no earlier request"),
    "req.parties": ("与请求不符", "does not match its request"),
    "req.scope": ("调用超出请求范围", "releases more than the request covers"),
    "req.ended": ("请求已终止后仍有调用", "the request had ended before"),
    "rel.retry": ("重复调用未正确标明", "a repeated release is not marked as the repeat it is"),
    "assess.repeat": ("重复评估与首次不同", "a repeated assessment differs from the first"),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: the leaf's index, the rule id, what it means in Chinese and English."""

    index: int
    rule: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class LawReport:
    """What the laws say about a log. `open` holds the indexes of REQs that nothing has ended yet, `carried` those of
    entries that rest on a grant or request of the log before (OPEN.prev): not proven without it, nor a violation.
    """

    violations: tuple[Violation, ...]
    open: tuple[int, ...]
    counters: dict[str, int]
    carried: tuple[int, ...] = ()

    @property
    def lawful(self) -> bool:
        """No rule is broken."""
        return not self.violations


@dataclass(slots=True)
class _Given:
    """A grant as the log has it so far."""

    leaf: Grant
    revoked: bool = False
    used: int = 0


@dataclass(slots=True)
class _Asked:
    """A request as the log has it so far."""

    index: int
    leaf: Request
    ended: bool = False
    stopped: bool = False
    first_release: tuple[int, Release] | None = None
    first_assess: Assess | None = None


@dataclass(slots=True)
class _Run:
    """The state of one pass."""

    index: int = 0
    last_ts: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    sequence: Counter[str] = field(default_factory=Counter)
    grants: dict[str, _Given] = field(default_factory=dict)
    requests: dict[str, _Asked] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)
    continues: bool = False
    carried: list[int] = field(default_factory=list)

    def demand_known(self, known: bool, rule: str) -> None:
        """Note a violation when something was never given, unless this log goes on where another ended."""
        if self.continues and not known:
            self.carried.append(self.index)
        else:
            self.demand(known, rule)

    def demand(self, holds: bool, rule: str) -> None:
        """Note a violation at the present leaf when the rule does not hold."""
        if not holds:
            self.violations.append(Violation(self.index, rule, *TEXTS[rule]))


def check(leaves: Iterable[AnyLeaf]) -> LawReport:
    """Run every rule over the leaves of a log, from index 0 on. One pass; memory grows with grants and requests."""
    run = _Run()
    for index, leaf in enumerate(leaves):
        run.index = index
        _every_leaf(run, leaf)
        match leaf:
            case Grant():
                _grant(run, leaf)
            case Token():
                _under_grant(run, leaf)
            case Stop() | Revoke():
                _end_grant(run, leaf)
            case Request():
                _request(run, leaf)
            case Release() | Assess():
                _leave(run, leaf)
            case Deny() | Abort():
                _stop(run, leaf)
            case _:
                pass
    still_open = tuple(asked.index for asked in run.requests.values() if not asked.ended)
    counters = dict(run.counters) | {"leaves": run.counters.total(), "subjects": len(run.sequence)}
    return LawReport(tuple(run.violations), still_open, counters, tuple(dict.fromkeys(run.carried)))


def _every_leaf(run: _Run, leaf: AnyLeaf) -> None:
    run.counters[kind_of(leaf)] += 1
    run.demand(isinstance(leaf, Open) == (run.index == 0), "open.first")
    run.continues = run.continues or (run.index == 0 and isinstance(leaf, Open) and leaf.prev != "")
    run.demand(leaf.ts >= run.last_ts, "time.backwards")
    run.last_ts = max(run.last_ts, leaf.ts)
    if leaf.sub:
        run.sequence[leaf.sub] += 1
        run.demand(leaf.seq == run.sequence[leaf.sub], "seq.gap")
        run.sequence[leaf.sub] = leaf.seq
    else:
        run.demand(leaf.seq == 0, "seq.gap")


def _grant(run: _Run, leaf: Grant) -> None:
    parts = [item.split(":") for item in leaf.items]
    run.demand(len({part[0] for part in parts}) == len(parts), "grant.items")
    run.demand(all(first <= last for first, last in (part[2].split("/") for part in parts)), "grant.items")
    before = run.grants.get(leaf.grant)
    if before is None:
        run.grants[leaf.grant] = _Given(leaf)
        return
    follows = not before.revoked and leaf.ver == before.leaf.ver + 1
    same = (leaf.org, leaf.sub) == (before.leaf.org, before.leaf.sub)
    run.demand(follows and same, "grant.version")
    before.leaf = leaf


def _under_grant(run: _Run, leaf: Token | Request | Ended) -> _Given | None:
    """The rules of everything that may happen only under a live grant."""
    given = run.grants.get(leaf.grant)
    run.demand_known(given is not None, "grant.unknown")
    if given is None:
        return None
    grant = given.leaf
    run.demand(not given.revoked and grant.nb <= leaf.ts < grant.na, "grant.dead")
    run.demand(leaf.ver == grant.ver, "grant.stale")
    run.demand((leaf.org, leaf.sub) == (grant.org, grant.sub), "grant.parties")
    if not isinstance(leaf, Token):
        run.demand(leaf.purpose == grant.purpose, "grant.purpose")
    return given


def _end_grant(run: _Run, leaf: Stop | Revoke) -> None:
    given = run.grants.get(leaf.grant)
    run.demand_known(given is not None, "grant.unknown")
    if given is None or isinstance(leaf, Stop):
        return
    run.demand(not given.revoked and leaf.ver == given.leaf.ver + 1, "grant.stale")
    given.revoked = True


def _request(run: _Run, leaf: Request) -> None:
    given = _under_grant(run, leaf)
    if given is not None:
        given.used += 1
        run.demand(given.used <= given.leaf.max, "grant.max")
        run.demand(_inside(leaf.items, given.leaf.items), "grant.scope")
    run.demand(leaf.req not in run.requests, "req.twice")
    run.requests.setdefault(leaf.req, _Asked(run.index, leaf))


def _leave(run: _Run, leaf: Ended) -> None:
    _under_grant(run, leaf)
    asked = run.requests.get(leaf.req)
    run.demand_known(asked is not None, "req.missing")
    if asked is None:
        return
    run.demand(_terms(leaf) == _terms(asked.leaf), "req.parties")
    run.demand(_inside(leaf.items, asked.leaf.items), "req.scope")
    run.demand(not asked.stopped and leaf.req not in run.denied, "req.ended")
    asked.ended = True
    if isinstance(leaf, Assess):
        first = asked.first_assess = asked.first_assess or leaf
        run.demand((leaf.items, leaf.card) == (first.items, first.card), "assess.repeat")
    else:
        _release(run, asked, leaf)


def _release(run: _Run, asked: _Asked, leaf: Release) -> None:
    if asked.first_release is None:
        run.demand(leaf.retry_of == "", "rel.retry")
        asked.first_release = (run.index, leaf)
        return
    index, first = asked.first_release
    run.demand(leaf.retry_of == str(index) and leaf.items == first.items, "rel.retry")


def _stop(run: _Run, leaf: Deny | Abort) -> None:
    asked = run.requests.get(leaf.req)
    if isinstance(leaf, Deny) and leaf.req:
        run.denied.add(leaf.req)
    if asked is None:
        run.demand_known(isinstance(leaf, Deny), "req.missing")
        return
    run.demand((leaf.org, leaf.sub) == (asked.leaf.org, asked.leaf.sub), "req.parties")
    asked.ended = asked.stopped = True


def _terms(leaf: Request | Ended) -> tuple[str, str, str, str, int]:
    return leaf.org, leaf.sub, leaf.purpose, leaf.grant, leaf.ver


def _inside(items: list[str], bounds: list[str]) -> bool:
    return all(any(_item_inside(item, bound) for bound in bounds) for item in items)


@lru_cache(maxsize=4096)
def _item_inside(item: str, bound: str) -> bool:
    """Same dataset, a form the bound covers, months inside, no field outside; empty periods open nothing and are
    refused.
    """
    dataset, form, months, mask = item.split(":")
    bound_dataset, bound_form, bound_months, bound_mask = bound.split(":")
    first, last = months.split("/")
    bound_first, bound_last = bound_months.split("/")
    return (
        dataset == bound_dataset
        and form_covers(cast(Form, bound_form), cast(Form, form))
        and bound_first <= first <= last <= bound_last
        and int(mask, 16) & ~int(bound_mask, 16) == 0
    )
