"""The timeline's pure parts: numbers without a gap, days of China, proofs drawn on the right side."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest

from node.flows.phone.errors import Forged
from node.flows.phone.proofs import steps
from node.flows.phone.sessions import check_csrf, csrf_token
from node.flows.phone.timeline import Book, days
from node.journal.act import Receipt
from node.journal.merkle import inclusion_path, leaf_hash, levels_reader, node_hash, root
from tests.phone.samples import line


@pytest.mark.parametrize(
    ("total", "last", "distinct", "whole"),
    [(3, 3, 3, True), (0, 0, 0, True), (2, 3, 2, False), (3, 3, 2, False), (3, 2, 2, False)],
)
def test_a_missing_or_doubled_number_shows(total: int, last: int, distinct: int, whole: bool) -> None:
    assert Book(2026, total, last, distinct).whole is whole


def test_entries_are_grouped_by_the_day_in_china() -> None:
    late = datetime(2026, 11, 23, 15, 59, tzinfo=UTC)
    moved = [line("REL", 2), line("REQ", 1)]
    object.__setattr__(moved[0], "when", late + timedelta(minutes=1))
    object.__setattr__(moved[1], "when", late)
    assert [day.date for day in days(moved)] == [date(2026, 11, 24), date(2026, 11, 23)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_the_drawn_path_leads_to_the_root(size: int) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    for index in range(size):
        path = tuple(inclusion_path(index, size, levels_reader(hashes)))
        drawn = steps(Receipt("o", index, 0, size, b"", path, "", b"", b""))
        found = hashes[index]
        for each, step in zip(path, drawn, strict=True):
            found = node_hash(found, each) if step.right else node_hash(each, found)
            assert step.sibling == each.hex()[:8]
        assert found == root(hashes)


def test_a_form_needs_the_token_of_its_own_session() -> None:
    secret = hashlib.sha256(b"session").hexdigest()
    check_csrf(secret, csrf_token(secret))
    for secret_used, token in ((secret, ""), (secret, csrf_token("other")), ("", csrf_token("")), (secret, "é")):
        with pytest.raises(Forged):
            check_csrf(secret_used, token)
