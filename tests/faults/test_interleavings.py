"""A thousand random interleavings of queries and a revocation: after REVOKE nothing of that grant leaves (law 2).

A real node in this process (SQLite, Valkey, departments over sockets), called through its ASGI door; each interleaving
has a grant of its own, up to three queries and one withdrawal, at moments drawn with a seed. What happened is read from
the journal alone.
"""

import asyncio
import random
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from node.app import Node
from node.clock import utc_now
from node.journal.appender import Appender
from node.journal.leaf import Release, Request, Revoke
from tests.faults.journal import Log, check_log
from tests.faults.load import QUERIES, Answer, Customer, check_answers, revocation
from tests.node_process import DepartmentsProcess, NodeProcess, this_year
from tests.people import Bank, Enterprise

INTERLEAVINGS = 1000
AT_ONCE = 20
SEED = 20261123
SPREAD_S = 0.12
"""Wider than a query takes when `AT_ONCE` run together, so that a withdrawal falls before, into and after them."""


async def call(node: Node, headers: dict[str, str], body: bytes) -> Answer:
    """One POST to the data door, as an ASGI server would make it."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": QUERIES, "headers": raw, "query_string": b""}
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await node.asgi(scope, receive, send)
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


async def enrol(appender: Appender, bank: Bank) -> list[Customer]:
    """As many customers as there are interleavings."""
    now = utc_now()
    await appender.append(bank.admitted(now))
    firm = Enterprise()
    given = [firm.gives(bank, now) for _ in range(INTERLEAVINGS)]
    await asyncio.gather(*[appender.append(act) for _, act in given])
    issued = [bank.token(grant, now) for grant, _ in given]
    await asyncio.gather(*[appender.append(act) for _, act in issued])
    return [Customer(firm, grant, token) for (grant, _), (token, _) in zip(given, issued, strict=True)]


@pytest.mark.serial
async def test_no_release_after_a_revocation_in_a_thousand_interleavings(
    sqlite_database: str, valkey: str, departments_process: DepartmentsProcess, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    process = NodeProcess(tmp_path, sqlite_database, valkey, departments_process.urls)
    bank = Bank(issuer=process.issuer)
    node = Node(process.settings)
    await node.start()
    answers: list[Answer] = []
    try:
        customers = await enrol(node.appender, bank)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(customer: Customer, moments: list[float], withdrawn: float) -> None:
            async def query(moment: float) -> None:
                await asyncio.sleep(moment)
                headers = bank.headers(QUERIES, customer.token, utc_now())
                answers.append(await call(node, headers, customer.enterprise.question()))

            async def withdraw() -> None:
                await asyncio.sleep(withdrawn)
                await node.appender.append(revocation(customer))

            async with gate:
                await asyncio.gather(*[query(moment) for moment in moments], withdraw())

        plans = [
            ([chance.uniform(0, SPREAD_S) for _ in range(chance.randint(1, 3))], chance.uniform(0, SPREAD_S))
            for _ in customers
        ]
        await asyncio.gather(*[one(customer, *plan) for customer, plan in zip(customers, plans, strict=True)])
    finally:
        await node.stop()
    log = await check_log(sqlite_database, this_year())
    assert check_answers(answers, log) == len(log.of("REL"))
    seen = classify(log)
    assert seen["after"] == 0
    assert min(seen["released before"], seen["caught between REQ and REL"], seen["refused"]) > 30, seen
    assert {answer.status for answer in answers} <= {200, 401, 403}, Counter(answer.status for answer in answers)


def classify(log: Log) -> Counter[str]:
    """What became of the queries, read from the order of the leaves; `after` counts what must not be."""
    revoked = {leaf.grant: index for index, leaf in enumerate(log.leaves) if isinstance(leaf, Revoke)}
    assert len(revoked) == INTERLEAVINGS
    released = {leaf.req for leaf in log.leaves if isinstance(leaf, Release)}
    seen: Counter[str] = Counter(after=0)
    for index, leaf in enumerate(log.leaves):
        if isinstance(leaf, (Request, Release)) and index > revoked[leaf.grant]:
            seen["after"] += 1
        if isinstance(leaf, Request):
            seen["released before" if leaf.req in released else "caught between REQ and REL"] += 1
    asked = {leaf.req for leaf in log.leaves if isinstance(leaf, Request)}
    seen["refused"] = len(log.requests("DENY") - asked)
    return seen
