"""What a reply must be. A wrong path, a replayed proof or a doubled key would otherwise be a very fast success."""

from __future__ import annotations

import json
from typing import Any

from node.journal.receipt_check import verify_receipt
from tests.load.feeds import Ticket
from tests.load.generator import Check
from tests.load.places import BenchFailed
from tests.load.records import rows_of

Records = dict[str, list[dict[str, Any]]]


def query_check(datasets: tuple[str, ...], *, gateway: bool) -> Check:
    """Every reply to a query: 200, the asked enterprise, every row; from the gateway its grant and receipt too."""
    rows, legs = rows_of(datasets), len(datasets)

    def check(status: int, body: bytes, ticket: Ticket) -> str:
        given = ticket.given
        if status != 200:
            return "not 200"
        if body.count(b'"period":"') != rows or body.count(given.uscc.encode()) < rows:
            return "rows are missing"
        if not gateway:
            return ""
        begins = b'{"data":{"grant_id":"%s","legs":[' % given.grant_id.encode()
        ends = b'"status":"COMPLETE","uscc":"%s"},"receipt":{"checkpoint":' % given.uscc.encode()
        whole = body.startswith(begins) and ends in body and body.count(b'"state":"READY"') == legs
        return "" if whole else "not a complete answer"

    return check


def push_check(status: int, body: bytes, _: Ticket) -> str:
    """A pushed request's answer."""
    return "" if status == 201 and body.startswith(b'{"request_uri":') else "not a request_uri"


def token_check(status: int, body: bytes, ticket: Ticket) -> str:
    """A token answer for the right grant."""
    whole = status == 200 and b'"access_token":"xat_' in body and ticket.given.grant_id.encode() in body
    return "" if whole else "not a token"


def records_of(body: bytes) -> Records:
    """The records of an answer by dataset, whoever gave it."""
    answer = json.loads(body)
    data = answer.get("data", answer)
    return {leg["dataset"]: leg["records"] for leg in data.get("legs", [data])}


def demand_same(name: str, ours: bytes, theirs: bytes) -> None:
    """The peer gave the very records the gateway gave. Raises BenchFailed."""
    mine, other = records_of(ours), records_of(theirs)
    if not other or any(mine.get(dataset) != rows for dataset, rows in other.items()):
        raise BenchFailed(f"{name} gives other records than the gateway")


def demand_proven(answer: bytes, vkey: str) -> None:
    """The answer's receipt holds against the log's key. Raises BenchFailed."""
    report = verify_receipt(answer, vkey)
    if not (report.ok and report.complete):
        raise BenchFailed("the gateway's receipt does not hold")
