"""Source 数源单位: what every source of data promises, and the two that keep it.

The contract in words:

- a source opens for a `Permit` and nothing else, and only for an item that stands in this permit (TypeError otherwise:
  asking without one is a bug, not a refusal);
- it asks for the permitted fields and months of the permit's enterprise, and hands over nothing beyond them, whatever
  the department sends (`adapters.minimise`);
- it answers by the earlier of the caller's deadline and its own bound, with `Fetched` or a `SourceFailure`;
- "no such enterprise" is the state NO_RECORD, never an empty success and never a failure;
- it keeps no answer: two calls are two questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import msgspec

from adapters.errors import Malformed, NotCollected, Refused, Unreachable
from adapters.minimise import Fetched, minimise, no_record
from adapters.registry import SourceEntry
from adapters.transport import AiohttpTransport, Call, Endpoint, Transport
from consent.permit import Permit
from consent.scope import ScopeItem


class Source(Protocol):
    """See the module's contract."""

    async def fetch(self, permit: Permit, item: ScopeItem, deadline: float) -> Fetched:
        """Ask for one item of the permit. `deadline` is on the running loop's clock, in seconds.

        Raises TypeError without a permit, SourceFailure when the department could not or its answer may not be used.
        """


class DepartmentSource:
    """One dataset at one department, over a transport shared by the department's datasets."""

    def __init__(self, entry: SourceEntry, transport: Transport) -> None:
        self.department = entry.department
        self._entry = entry
        self._transport = transport

    async def fetch(self, permit: Permit, item: ScopeItem, deadline: float) -> Fetched:
        """See Source."""
        _demand(permit, item)
        entry = self._entry
        own = asyncio.get_running_loop().time() + entry.deadline_ms / 1000
        head, tail = _question(item.dataset, item.fields, item.period.first.ordinal, item.period.last.ordinal)
        body = head + permit.enterprise.encode("ascii") + tail
        status, answer = await self._transport.call(
            Call(entry.path, body, permit.id, min(deadline, own), entry.max_bytes)
        )
        if status == 200:
            return minimise(answer, item, permit.enterprise, entry.department)
        if status == 404 and _says_no_record(answer):
            return no_record(item, entry.department)
        if status >= 500:
            raise Unreachable(cause=f"status {status}")
        raise Refused(cause=f"status {status}") if status >= 300 else Malformed(cause=f"status {status}")


class Departments:
    """Every source of the node, itself a Source: it hands an item to the department that states its dataset."""

    def __init__(self, sources: Mapping[str, DepartmentSource], transports: Mapping[str, Transport]) -> None:
        self._sources = sources
        self._transports = transports

    @classmethod
    def build(
        cls,
        registry: Mapping[str, SourceEntry],
        endpoints: Mapping[str, Endpoint],
        transport: Callable[[Endpoint], Transport] = AiohttpTransport,
    ) -> Departments:
        """Wire the registry to the endpoints of the settings, by department name. Opens nothing.

        A dataset whose department has no endpoint is not collected here. Raises ValueError for an endpoint that no
        dataset names: a misspelt department must not look like a silent one.
        """
        strangers = set(endpoints) - {entry.department for entry in registry.values()}
        if strangers:
            raise ValueError(f"no dataset is asked at {sorted(strangers)}")
        transports = {name: transport(endpoint) for name, endpoint in endpoints.items()}
        sources = {
            dataset: DepartmentSource(entry, transports[entry.department])
            for dataset, entry in registry.items()
            if entry.department in transports
        }
        return cls(sources, transports)

    @property
    def datasets(self) -> frozenset[str]:
        """The datasets this node collects."""
        return frozenset(self._sources)

    def department_of(self, dataset: str) -> str:
        """The department that states a dataset, "" if this node does not collect it."""
        source = self._sources.get(dataset)
        return source.department if source is not None else ""

    async def open(self) -> None:
        """Make the clients; connections are made by the first calls."""
        for transport in self._transports.values():
            await transport.open()

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.close()

    async def fetch(self, permit: Permit, item: ScopeItem, deadline: float) -> Fetched:
        """See Source. Raises NotCollected for a dataset without a source."""
        _demand(permit, item)
        source = self._sources.get(item.dataset)
        if source is None:
            raise NotCollected
        return await source.fetch(permit, item, deadline)


def _demand(permit: Permit, item: ScopeItem) -> None:
    """The lock on the door. Identity is tried first: items come out of the permit itself."""
    if type(permit) is not Permit:
        raise TypeError("only a Permit opens a source")
    for each in permit.items:
        if each is item:
            return
    if type(item) is not ScopeItem or item not in permit.items:
        raise TypeError("the item does not stand in the permit")


@lru_cache(maxsize=4096)
def _question(dataset: str, fields: tuple[str, ...], first: int, last: int) -> tuple[bytes, bytes]:
    """The request's body before and after the enterprise's code (which is plain ASCII)."""
    months = {"from": _month(first), "to": _month(last)}
    body = msgspec.json.encode({"dataset": dataset, "fields": fields, **months, "uscc": "?"})
    head, _, tail = body.rpartition(b"?")
    return head, tail


def _month(ordinal: int) -> str:
    return f"{ordinal // 12:04d}-{ordinal % 12 + 1:02d}"


class _State(msgspec.Struct):
    state: str


def _says_no_record(answer: bytes) -> bool:
    """A 404 counts as a state only in the protocol's own words; a proxy's 404 page is a refusal."""
    try:
        return msgspec.json.decode(answer, type=_State).state == "no_record"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
