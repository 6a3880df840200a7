"""A whole sandbox node for the phone's tests: departments, Valkey, node, two banks, a signatory of several firms."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.bank_client import BankParty
from deploy.sandbox.stage import Stage, example_ask, free_port


@dataclass
class Sandbox:
    """The stage with what tests ask of it. Each test takes a fresh request, some an enterprise of their own."""

    stage: Stage

    @property
    def url(self) -> str:
        return self.stage.issuer

    @property
    def bank(self) -> BankParty:
        return self.stage.banks[0]

    @property
    def login(self) -> dict[str, Any]:
        return dict(self.stage.parties["signatory"])

    @property
    def vkey(self) -> str:
        return str(self.stage.parties["log"]["vkey"])

    @property
    def key_file(self) -> Path:
        return self.stage.folder / "authenticator.json"

    def enterprise(self, number: int = 0) -> str:
        return str(self.stage.parties["scenarios"][number]["uscc"])

    def push(self, number: int = 0, **changes: Any) -> str:
        """A fresh request_uri for an enterprise."""
        answer = self.bank.push(example_ask(self.enterprise(number)) | changes, secrets.token_urlsafe(48))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_uri"])

    def authorize(self, request_uri: str) -> str:
        """Where the bank sends the browser."""
        return f"/oauth/authorize?client_id={self.bank.client_id}&request_uri={request_uri}"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox; everything it started ends with the module."""
    stage = Stage(tmp_path_factory.mktemp("phone"), free_port())
    try:
        stage.start()
        stage.enrol()
        yield Sandbox(stage)
    finally:
        for bank in stage.banks:
            bank.http.close()
        pipes = [process.stdout for process in stage._processes if process.stdout]
        stage.stop()
        for pipe in pipes:
            pipe.close()
