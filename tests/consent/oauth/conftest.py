"""Two banks and a desk, fresh for each test; keys are made once a run."""

from __future__ import annotations

import pytest

from tests.consent.oauth.people import Desk, Person


@pytest.fixture
def alpha() -> Person:
    """The bank whose requests are in order."""
    return Person("bank-alpha")


@pytest.fixture
def beta() -> Person:
    """Another bank, with keys of its own."""
    return Person("bank-beta")


@pytest.fixture
def desk(alpha: Person, beta: Person) -> Desk:
    """The flow without stores."""
    return Desk({"bank-alpha": alpha, "bank-beta": beta})
