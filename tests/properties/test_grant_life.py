"""A grant's life as a state machine: given, used, time passes, taken back; states are computed at read."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consent.errors import Conflict, GrantEnded
from consent.evidence import MEMBERS, Evidence, Kind
from consent.grant import REVOKERS, Grant, GrantState, Signed, Terms, give, revoke, terms
from consent.permit import Ask, Ground, admit
from node.journal import leaf
from tests.consent.agreed import BANK, CATALOGUE, FIRM, NOW, NOW_MS, granted

FINAL = {GrantState.REVOKED, GrantState.EXPIRED, GrantState.CONSUMED}
SIGNED = Signed('{"type":"t"}', "1" * 64, "{}", "sig_1", "L3")


def through_the_row(agreed: Terms) -> tuple[Grant, Terms, Evidence]:
    """Give, and read the row back as the node does."""
    row, evidence = give(agreed, SIGNED, agreed.scope.encode(CATALOGUE), now=NOW)
    return row, terms(row, CATALOGUE), evidence


def fits_the_leaf(evidence: Evidence) -> None:
    """The public members are those of the kind, and the journal takes them."""
    assert tuple(evidence.public) == MEMBERS[evidence.kind]
    leaf.encode(evidence.kind, leaf.Head(NOW_MS, evidence.org, "", 0, "0" * 64), evidence.public)


class GrantLife(RuleBasedStateMachine):
    """The model beside the grant: when it begins and ends, how often it was used, whether it was taken back."""

    grant: Terms
    now_ms: int
    revoked: bool
    seen: list[GrantState]

    @initialize(begins=st.integers(0, 50), lasts=st.integers(1, 50), most=st.integers(1, 3))
    def given(self, begins: int, lasts: int, most: int) -> None:
        """An enterprise says yes, perhaps for later."""
        span = {"not_before_ms": NOW_MS + begins, "not_after_ms": NOW_MS + begins + lasts, "max_queries": most}
        agreed = granted(**span)
        row, self.grant, evidence = through_the_row(agreed)
        assert self.grant == agreed and row.created_ms == NOW_MS
        fits_the_leaf(evidence)
        self.now_ms, self.revoked, self.seen = NOW_MS, False, []

    @rule(by=st.integers(1, 30))
    def time_passes(self, by: int) -> None:
        """The clock moves on."""
        self.now_ms += by

    @rule(edge=st.sampled_from(("not_before_ms", "not_after_ms")), off=st.integers(-1, 1))
    def time_comes_to_an_edge(self, edge: str, off: int) -> None:
        """The clock moves to an edge of the term, a millisecond before or after it; never backwards."""
        self.now_ms = max(self.now_ms, getattr(self.grant, edge) + off)

    @rule()
    def query(self) -> None:
        """A bank asks; what is admitted is counted, as the journal does under its lock."""
        ask = Ask("qry", BANK, FIRM, self.grant.purpose, None)
        lawful = (
            not self.revoked
            and self.grant.not_before_ms <= self.now_ms < self.grant.not_after_ms
            and self.grant.used < self.grant.max_queries
        )
        if not lawful:
            with pytest.raises(GrantEnded, match="not in force"):
                admit(Ground.CONSENT, ask, self.grant, now_ms=self.now_ms)
            return
        permit = admit(Ground.CONSENT, ask, self.grant, now_ms=self.now_ms)
        assert permit.grant_version == self.grant.version
        self.grant = replace(self.grant, used=self.grant.used + 1)

    @precondition(lambda self: not self.revoked)
    @rule(by=st.sampled_from(REVOKERS))
    def taken_back(self, by: str) -> None:
        """Anybody who may takes it back, in whatever state it is."""
        before = self.grant
        self.grant, evidence = revoke(before, by=by, why="w")
        assert self.grant == replace(before, status="revoked", version=before.version + 1)
        fits_the_leaf(evidence)
        assert dict(evidence.public) == {"grant": before.id, "ver": before.version + 1, "by": by, "why": "w"}
        assert (evidence.kind, evidence.org, evidence.enterprise) == (Kind.REVOKE, BANK, FIRM)
        self.revoked = True

    @precondition(lambda self: self.revoked)
    @rule(by=st.sampled_from(REVOKERS))
    def taken_back_again(self, by: str) -> None:
        """Twice is a conflict, whoever comes second."""
        with pytest.raises(Conflict):
            revoke(self.grant, by=by, why="w")

    @invariant()
    def the_state_is_what_the_history_says(self) -> None:
        """And no state after a final one is another, but revocation may follow any."""
        state = self.grant.state(self.now_ms)
        assert (state is GrantState.REVOKED) is self.revoked
        if not self.revoked:
            assert (state is GrantState.EXPIRED) is (self.now_ms >= self.grant.not_after_ms)
        assert self.grant.used <= self.grant.max_queries
        assert not (state is GrantState.NOT_YET and GrantState.ACTIVE in self.seen)
        if any(each in FINAL for each in self.seen):
            assert state in FINAL
        self.seen.append(state)

    @invariant()
    def only_an_active_grant_is_live(self) -> None:
        """`live` gives the grant itself or says in which state it is."""
        state = self.grant.state(self.now_ms)
        if state is GrantState.ACTIVE:
            assert self.grant.live(self.now_ms) is self.grant
            return
        with pytest.raises(GrantEnded) as ended:
            self.grant.live(self.now_ms)
        assert ended.value.code == f"consent.{state}"


GrantLife.TestCase.settings = settings(deadline=None, max_examples=80, stateful_step_count=20)
TestGrantLife = GrantLife.TestCase
