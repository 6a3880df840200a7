"""Grant: the row and the evidence say the same, the edges of the term are exact, only known parties revoke."""

import pytest

from consent.errors import Conflict
from consent.evidence import Kind
from consent.grant import REVOKERS, Grant, GrantState, Signed, give, revoke, terms
from tests.consent.agreed import BANK, CATALOGUE, DAY_MS, FIRM, NOW, NOW_MS, granted

SIGNED = Signed('{"id":"grt_t"}', "ab" * 32, '{"signature":"x"}', "sig_7", "L3")


def given() -> tuple[Grant, dict[str, object], dict[str, object]]:
    """A grant given at NOW: its row, what the journal says, what it seals."""
    agreed = granted()
    row, evidence = give(agreed, SIGNED, agreed.scope.encode(CATALOGUE), now=NOW)
    assert (evidence.kind, evidence.org, evidence.enterprise) == (Kind.GRANT, BANK, FIRM)
    return row, dict(evidence.public), dict(evidence.private)


def test_the_evidence_of_a_grant_says_what_the_row_says() -> None:
    row, public, _ = given()
    assert public == {
        "grant": row.id,
        "ver": row.version,
        "purpose": row.purpose,
        "tpl": row.template_sha256,
        "items": tuple(row.items.split(" ")),
        "nb": row.not_before_ms,
        "na": row.not_after_ms,
        "max": row.max_queries,
        "doc": row.document_sha256,
        "asr": row.assurance,
    }
    assert (row.status, row.used, row.ended_ms, row.ended_by) == ("active", 0, 0, "")
    assert (row.document, row.signature, row.signatory) == (SIGNED.document, SIGNED.signature, "sig_7")


def test_who_is_concerned_stands_in_the_sealed_part_only() -> None:
    _, public, private = given()
    assert private == {"enterprise": str(FIRM), "signatory": "sig_7"}
    assert str(FIRM) not in str(public) and "sig_7" not in str(public)


def test_a_row_reads_back_as_the_terms_that_were_agreed() -> None:
    row, _, _ = given()
    assert terms(row, CATALOGUE) == granted()


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (NOW_MS - 1, GrantState.NOT_YET),
        (NOW_MS, GrantState.ACTIVE),
        (NOW_MS + 30 * DAY_MS - 1, GrantState.ACTIVE),
        (NOW_MS + 30 * DAY_MS, GrantState.EXPIRED),
        (0, GrantState.NOT_YET),
        (2**53, GrantState.EXPIRED),
    ],
)
def test_the_term_holds_its_first_instant_and_not_its_last(at: int, state: GrantState) -> None:
    assert granted().state(at) is state


@pytest.mark.parametrize(("used", "state"), [(2, GrantState.ACTIVE), (3, GrantState.CONSUMED)])
def test_the_last_query_consumes_the_grant(used: int, state: GrantState) -> None:
    assert granted(used=used).state(NOW_MS) is state


@pytest.mark.parametrize("at", [NOW_MS - 1, NOW_MS, NOW_MS + 30 * DAY_MS])
@pytest.mark.parametrize("used", [0, 3])
def test_revoked_wins_over_every_other_state(at: int, used: int) -> None:
    assert granted(status="revoked", used=used).state(at) is GrantState.REVOKED


@pytest.mark.parametrize("other", [{}, {"used": 3}, {"not_after_ms": NOW_MS - 1}, {"not_before_ms": NOW_MS + 1}])
@pytest.mark.parametrize("by", REVOKERS)
def test_a_grant_may_be_taken_back_in_any_state_but_once(other: dict[str, int], by: str) -> None:
    ended, evidence = revoke(granted(**other), by=by, why="asked")
    assert ended.state(NOW_MS) is GrantState.REVOKED and ended.version == 2
    assert not evidence.private
    with pytest.raises(Conflict):
        revoke(ended, by=by, why="asked")


@pytest.mark.parametrize("by", ["", "regulator", "Enterprise", "nobody"])
def test_nobody_else_may_revoke(by: str) -> None:
    with pytest.raises(ValueError, match="may revoke"):
        revoke(granted(), by=by, why="w")


def test_revoking_leaves_the_terms_it_was_called_with_untouched() -> None:
    before = granted()
    revoke(before, by="bank", why="w")
    assert before == granted()
