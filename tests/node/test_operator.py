"""The operator's door on a running node: alive, ready, measured; and what each says when a part is gone.

One node through the whole story, because a boot is what takes the time: well, Valkey away, PostgreSQL away, halted.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.clock import utc_now
from node.metrics import Metrics
from tests.faults.journal import appending, check_log, execute
from tests.faults.load import Answer, Line, ask, enrol
from tests.node.test_logs import ALLOWED
from tests.node_process import DepartmentsProcess, NodeProcess, ending, this_year
from tests.people import Bank

if TYPE_CHECKING:
    from tests.postgres import PostgresServer, PrivateValkey

SERIES = {
    "xyd_requests": ("counter", {"door", "status"}),
    "xyd_request_seconds": ("histogram", {"door"}),
    "xyd_refusals": ("counter", {"code"}),
    "xyd_legs": ("counter", {"dataset", "state"}),
    "audit_append_seconds": ("histogram", set()),
    "audit_batch_size": ("histogram", set()),
    "audit_queue_depth": ("gauge", set()),
    "audit_head_size": ("gauge", set()),
    "audit_halted": ("gauge", set()),
    "audit_open_intents": ("gauge", set()),
}


def test_every_series_is_named_and_none_names_a_bank_or_an_enterprise() -> None:
    metrics = Metrics()
    metrics.answered("queries", 200, 0.1)
    metrics.refusals.labels("consent.revoked").inc()
    metrics.leg("tax.vat_invoice_summary", "READY")
    found = {}
    for family in metrics.registry.collect():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name] = (family.type, labels)
        assert (family.documentation and family.documentation[0].isupper()) or family.documentation[0].isdigit()
    assert found == SERIES


class Door:
    """Asks the operator's door."""

    def __init__(self, node: NodeProcess) -> None:
        self._http = httpx.Client(base_url=node.operator_url, timeout=10, trust_env=False)

    def ready(self) -> tuple[int, dict[str, Any]]:
        """/readyz; /livez says the same throughout: a restart would mend none of it."""
        assert self._http.get("/livez").json() == {"live": True}
        answer = self._http.get("/readyz")
        return answer.status_code, answer.json()["checks"]

    def values(self) -> dict[str, float]:
        """The samples, by name and labels."""
        families = text_string_to_metric_families(self._http.get("/metrics").text)
        return {
            f"{s.name}{sorted(s.labels.values()) if s.labels else ''}": s.value for f in families for s in f.samples
        }

    def close(self) -> None:
        """Hang up."""
        self._http.close()


@pytest.mark.serial
@pytest.mark.postgres
async def test_what_the_operator_is_told(
    postgres: PostgresServer,
    postgres_database: str,
    valkey_server: PrivateValkey,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    with ending(NodeProcess(tmp_path, postgres_database, valkey, departments_process.urls)) as node:
        bank = Bank(issuer=node.issuer)
        async with appending(postgres_database, utc_now) as appender:
            (customer,) = await enrol(appender, bank, customers=1)
        await asyncio.to_thread(node.start)
        door, line = Door(node), Line(node.port)

        async def query() -> Answer:
            return await ask(line, bank, customer)

        try:
            assert (await query()).status == 200
            status, checks = door.ready()
            assert status == 200 and set(checks.values()) == {"ok"} and {"database", "valkey", "journal"} <= set(checks)
            values = door.values()
            size = len((await check_log(postgres_database, this_year())).entries)
            assert values["xyd_requests_total['200', 'queries']"] == 1
            assert (values["audit_head_size"], values["audit_halted"], values["audit_queue_depth"]) == (size, 0, 0)
            assert values["audit_batch_size_sum"] == 2 and values["audit_append_seconds_count"] == 2

            await asyncio.to_thread(valkey_server.stop)
            try:
                status, checks = await asyncio.to_thread(door.ready)
                assert status == 503 and checks["valkey"] != "ok" and checks["database"] == "ok", checks
                answer = await query()
                assert (answer.status, answer.whole["code"]) == (503, "state.unavailable")
            finally:
                await asyncio.to_thread(valkey_server.start)
            assert (await _soon(query)).status == 200
            assert door.ready()[0] == 200

            await asyncio.to_thread(postgres.stop)
            try:
                status, checks = await asyncio.to_thread(door.ready)
                assert status == 503 and checks["database"] != "ok" and checks["valkey"] == "ok", checks
            finally:
                await asyncio.to_thread(postgres.start)
            assert (await _soon(query)).status == 200
            assert door.ready()[0] == 200

            await execute(postgres_database, "UPDATE journal_head SET root = :root", root=b"\x11" * 32)
            answer = await query()
            assert (answer.status, answer.whole["code"]) == (503, "audit.unavailable")
            status, checks = door.ready()
            assert status == 503 and "root" in checks["journal"] and checks["database"] == "ok", checks
            assert door.values()["audit_halted"] == 1
        finally:
            door.close()
            line.close()
        node.stop()
        lines = [json.loads(each) for each in node.log_text.splitlines()]
        assert any(each["level"] == "CRITICAL" and "halted" in each["msg"] for each in lines)
        assert {key for each in lines for key in each} <= ALLOWED
        for secret in (customer.token, str(customer.enterprise.code), "regulator-token", str(tmp_path)):
            assert secret not in node.log_text


async def _soon(query: Any) -> Answer:
    async with asyncio.timeout(10):
        while (answer := await query()).status != 200:
            await asyncio.sleep(0.1)
    found: Answer = answer
    return found
