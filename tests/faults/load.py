"""Load at the bank's door: a small HTTP client of our own that really queries, with a fresh DPoP proof each time.

It keeps everything it was answered, because the rule under test is about that: no answer without its entry.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from consent.enterprise import issue_fictitious
from consent.grant import Terms
from node.clock import utc_now
from node.journal.act import Act
from node.journal.appender import Appender
from node.journal.receipt_check import verify_receipt
from tests.faults.journal import NAMES, Log
from tests.people import Bank, Enterprise

QUERIES = "/v1/queries"


@dataclass(frozen=True)
class Customer:
    """An enterprise that gave a grant, and the bank's token for it."""

    enterprise: Enterprise
    grant: Terms
    token: str


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when the connection broke first."""

    status: int
    body: bytes = b""

    @property
    def whole(self) -> dict[str, Any]:
        """The body."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


async def enrol(appender: Appender, bank: Bank, *, customers: int = 3, most: int = 100_000) -> list[Customer]:
    """A bank and its customers, through the journal as the doors would do it."""
    now = utc_now()
    await appender.append(bank.admitted(now))
    found = []
    for number in range(customers):
        enterprise = Enterprise(issue_fictitious(31 + number))
        grant, given = enterprise.gives(bank, now, most=most)
        await appender.append(given)
        token, issued = bank.token(grant, now)
        await appender.append(issued)
        found.append(Customer(enterprise, grant, token))
    return found


def revocation(customer: Customer) -> Act:
    """The act by which a customer takes its grant back."""
    return customer.enterprise.takes_back(customer.grant)


class Line:
    """One kept-alive connection to a node."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """One call. A broken connection is an answer with status 0."""
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            assert self._reader is not None
            lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return Answer(int(head.split(b" ", 2)[1]), await self._reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return Answer(0)

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass
class Load:
    """`workers` callers that ask in turn for the customers until stopped."""

    bank: Bank
    customers: list[Customer]
    port: int
    answers: list[Answer] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, workers: int = 6) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(workers)]

    async def stop(self) -> Counter[int]:
        """End; how many answers of each status."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.statuses

    @property
    def statuses(self) -> Counter[int]:
        """How many answers of each status."""
        return Counter(answer.status for answer in self.answers)

    async def _work(self, number: int) -> None:
        line = Line(self.port)
        try:
            while True:
                answer = await ask(line, self.bank, self.customers[number % len(self.customers)])
                self.answers.append(answer)
                number += 1
                if answer.status != 200:
                    await asyncio.sleep(0.01)
        finally:
            line.close()


async def ask(line: Line, bank: Bank, customer: Customer, key: str = "") -> Answer:
    """One query for everything granted."""
    headers = bank.headers(QUERIES, customer.token, utc_now(), key)
    return await line.post(QUERIES, headers, customer.enterprise.question())


def check_answers(answers: list[Answer], log: Log) -> int:
    """Every answer with data has its REL entry, and its receipt proves it. The number of such answers."""
    vkey = NAMES.signer(log.origin).vkey
    given = [answer for answer in answers if answer.status == 200]
    for answer in given:
        whole = answer.whole
        entry = log.entries[whole["receipt"]["index"]]
        assert (entry.kind, entry.req) == ("REL", whole["data"]["query_id"])
        report = verify_receipt(answer.body, vkey)
        assert report.ok and report.complete, [check for check in report.checks if check.ok is not True]
    assert all(b'"data":' not in answer.body for answer in answers if answer.status != 200)
    return len(given)
