"""Each law of the house, kept and broken. Test names carry the rule id."""

from collections.abc import Callable

import pytest

from node.journal.laws import TEXTS, check
from node.journal.leaf import Head, encode, parse
from tests.journal.sample import (
    BANK2,
    FIRM,
    FIRM2,
    POWER,
    SOCIAL,
    START,
    TAX,
    TAX_LESS,
    TAX_MODEL,
    Story,
    lawful_story,
)

OUTSIDE = [
    POWER,
    "tax.vat_invoice_summary:read:2024-10/2026-10:ff",
    "tax.vat_invoice_summary:read:2025-01/2026-11:ff",
    "tax.vat_invoice_summary:read:2025-01/2026-10:2001",
    "tax.vat_invoice_summary:verify:2025-01/2026-10:ff",
    "tax.vat_invoice_summary:read:2026-10/2025-01:ff",
]


def broken(story: Story) -> list[tuple[int, str]]:
    return [(v.index, v.rule) for v in check(story.leaves()).violations]


def begun() -> Story:
    """A log with one grant in force."""
    story = Story()
    story.grant()
    return story


def test_a_lawful_log_breaks_nothing() -> None:
    report = check(lawful_story().leaves())
    assert report.lawful and report.violations == ()
    assert report.counters["leaves"] == 600 and report.counters["subjects"] == 2
    assert sum(report.counters[kind] for kind in ("REQ", "REL", "GRANT", "OPEN")) > 500


def test_an_empty_log_breaks_nothing() -> None:
    assert check([]).lawful and check([]).open == ()


def test_a_request_without_end_is_open_and_not_a_violation() -> None:
    story = begun()
    first = story.ask("qry_1")
    second = story.ask("qry_2")
    story.ask("qry_3")
    story.release("qry_3")
    report = check(story.leaves())
    assert report.lawful and report.open == (first, second)
    story.abort("qry_1")
    story.deny("qry_2")
    assert check(story.leaves()).open == ()


Case = Callable[[Story], int]
CASES: dict[str, list[Case]] = {
    "open.first": [lambda s: s.add("OPEN", node="n", catalogue="c", prev="")],
    "time.backwards": [lambda s: s.token(ts=START + 1)],
    "seq.gap": [
        lambda s: s.token(seq=3),
        lambda s: s.token(seq=1),
        lambda s: s.add("BANK", seq=1, act="enrolled"),
        lambda s: s.token(seq=0),
    ],
    "grant.version": [
        lambda s: s.grant(),
        lambda s: s.grant(ver=3),
        lambda s: s.grant(ver=2, org=BANK2),
        lambda s: s.grant(ver=2, sub=FIRM2),
        lambda s: (s.revoke(), s.grant(ver=2))[1],
    ],
    "grant.items": [
        lambda s: s.grant("grt_2", items=[TAX, TAX_LESS]),
        lambda s: s.grant("grt_2", items=["tax.x:read:2026-10/2026-09:f"]),
    ],
    "grant.unknown": [
        lambda s: s.token(grant="grt_9"),
        lambda s: s.ask(grant="grt_9"),
        lambda s: s.revoke(grant="grt_9"),
        lambda s: s.add("STOP", org="bank-a", sub=FIRM, grant="grt_9", why=""),
    ],
    "grant.dead": [
        lambda s: (s.revoke(), s.token())[1],
        lambda s: (s.revoke(), s.ask())[1],
        lambda s: (s.ask(), s.revoke(), s.release())[2],
        lambda s: (s.ask(items=[TAX_MODEL]), s.revoke(), s.assess())[2],
        lambda s: (s.grant("grt_2", na=START + 4000), s.ask(grant="grt_2"))[1],
        lambda s: (s.grant("grt_2", nb=START + 10**6), s.ask(grant="grt_2"))[1],
        lambda s: (s.grant("grt_2", na=START + 5000), s.ask(grant="grt_2"), s.release(grant="grt_2"))[2],
    ],
    "grant.stale": [
        lambda s: s.token(ver=2),
        lambda s: s.ask(ver=2),
        lambda s: (s.grant(ver=2), s.ask())[1],
        lambda s: (s.ask(), s.grant(ver=2), s.release())[2],
        lambda s: s.revoke(ver=1),
        lambda s: (s.revoke(), s.revoke(ver=2))[1],
    ],
    "grant.parties": [
        lambda s: s.token(org=BANK2),
        lambda s: s.ask(org=BANK2),
        lambda s: s.ask(sub=FIRM2),
        lambda s: s.token(sub=FIRM2),
    ],
    "grant.purpose": [lambda s: s.ask(purpose="POST_LOAN")],
    "grant.scope": [lambda s, item=item: s.ask(items=[TAX_LESS, item]) for item in OUTSIDE],  # type: ignore[misc]
    "grant.max": [lambda s: (s.grant("grt_2", max=1), s.ask("q1", grant="grt_2"), s.ask("q2", grant="grt_2"))[2]],
    "req.twice": [lambda s: (s.ask(), s.ask())[1]],
    "req.missing": [
        lambda s: s.release(),
        lambda s: s.assess(),
        lambda s: s.abort(),
        lambda s: (s.release(), s.ask())[0],
    ],
    "req.parties": [
        lambda s: (s.ask(), s.release(org=BANK2))[1],
        lambda s: (s.ask(), s.release(sub=FIRM2))[1],
        lambda s: (s.ask(), s.release(purpose="POST_LOAN"))[1],
        lambda s: (s.grant("grt_2"), s.ask(), s.release(grant="grt_2"))[2],
        lambda s: (s.ask(), s.release(ver=2))[1],
        lambda s: (s.ask(), s.abort(org=BANK2))[1],
        lambda s: (s.ask(), s.deny(sub=FIRM2))[1],
    ],
    "req.scope": [
        *[lambda s, item=item: (s.ask(), s.release(items=[item]))[1] for item in OUTSIDE],
        lambda s: (s.ask(), s.release(items=[SOCIAL]))[1],
        lambda s: (s.ask(items=[TAX_MODEL]), s.release())[1],
        lambda s: (s.ask(), s.assess(items=[SOCIAL]))[1],
    ],
    "req.ended": [
        lambda s: (s.ask(), s.abort(), s.release())[2],
        lambda s: (s.ask(), s.deny(), s.release())[2],
        lambda s: (s.deny(), s.ask(), s.release())[2],
        lambda s: (s.ask(items=[TAX_MODEL]), s.abort(), s.assess())[2],
    ],
    "assess.repeat": [
        lambda s: (s.ask(items=[TAX_MODEL]), s.assess(), s.assess(card="sme-2"))[2],
        lambda s: (s.ask(items=[TAX_MODEL]), s.assess(), s.assess(items=[]))[2],
    ],
    "rel.retry": [
        lambda s: (s.ask(), s.release(), s.release())[2],
        lambda s: (s.ask(), s.release(retry_of="2"))[1],
        lambda s: (s.ask(), s.release(), s.release(retry_of="2"))[2],
        lambda s: (s.ask(items=[TAX]), s.release(), s.release(retry_of="3", items=[TAX]))[2],
        lambda s: (s.ask(), s.release(), s.release(retry_of="3"), s.release(retry_of="4"))[3],
    ],
}


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(TEXTS)


@pytest.mark.parametrize(("rule", "number"), [(rule, n) for rule, cases in CASES.items() for n in range(len(cases))])
def test_a_broken_rule_is_found_where_it_is_broken(rule: str, number: int) -> None:
    story = begun()
    index = CASES[rule][number](story)
    assert (index, rule) in broken(story)
    zh, en = TEXTS[rule]
    violation = next(v for v in check(story.leaves()).violations if v.rule == rule)
    assert (violation.zh, violation.en) == (zh, en)


def test_a_log_that_does_not_begin_with_open_is_found() -> None:
    leaf = parse(encode("BANK", Head(START, "node", "", 0, "0" * 64), {"act": "enrolled"}))
    assert [v.rule for v in check([leaf]).violations] == ["open.first"]


def test_the_instants_of_a_grant_include_the_first_and_not_the_last() -> None:
    for nb, na, rules in ((0, 1, set()), (1, 5, {"grant.dead"}), (-5, 0, {"grant.dead"}), (-5, 1, set())):
        story = Story()
        at = START + 5000
        story.grant(nb=at + nb, na=at + na, ts=START + 2000)
        story.ask(ts=at)
        assert {rule for _, rule in broken(story)} == rules


def test_a_new_version_of_a_grant_is_lawful_and_rules_from_then_on() -> None:
    story = begun()
    story.ask("qry_1")
    story.release("qry_1")
    story.grant(ver=2, items=[SOCIAL])
    story.ask("qry_2", ver=2, items=[SOCIAL])
    story.release("qry_2", ver=2, items=[SOCIAL])
    assert broken(story) == []
    index = story.ask("qry_3", ver=2)
    assert (index, "grant.scope") in broken(story)


def test_what_may_be_read_may_be_scored_and_not_the_other_way_round() -> None:
    story = begun()
    story.ask(items=[TAX_MODEL])
    story.assess()
    assert broken(story) == []
    story.grant("grt_2", items=[TAX_MODEL])
    index = story.ask("qry_2", grant="grt_2", items=[TAX_LESS])
    assert broken(story) == [(index, "grant.scope")]


def test_the_same_answer_given_again_is_lawful() -> None:
    story = begun()
    story.ask("qry_1")
    first = story.release("qry_1")
    story.ask("qry_2", items=[TAX_MODEL])
    story.assess("qry_2")
    story.release("qry_1", retry_of=str(first))
    story.assess("qry_2")
    story.revoke()
    story.deny("qry_1")
    assert broken(story) == []


def test_equal_times_are_lawful() -> None:
    story = begun()
    story.token(ts=START + 2000)
    assert broken(story) == []


def test_a_log_that_goes_on_where_another_ended_says_what_it_rests_on_and_a_first_log_may_not() -> None:
    orphan = parse(encode("TOKEN", Head(2, "bank-a", "a" * 32, 1, "0" * 64), {"grant": "grt_x", "ver": 1, "exp": 9}))
    for prev, broken, carried in (("", ["grant.unknown"], ()), ("x/log/2026 7 root", [], (1,))):
        opening = {"node": "x", "catalogue": "c", "prev": prev}
        first = parse(encode("OPEN", Head(1, "node", "", 0, "0" * 64), opening))
        found = check([first, orphan])
        assert [each.rule for each in found.violations] == broken
        assert found.carried == carried
