"""Every Prometheus series of the node, with its unit and labels, in one place. Served on a port of its own."""

from __future__ import annotations

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
APPEND_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Watched(Protocol):
    """What the gauges look at."""

    halted: str
    size: int

    @property
    def depth(self) -> int:
        """Acts waiting."""


class Metrics:
    """One registry per process; children of hot series are made once and kept."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "xyd_requests", "Requests answered, by door and status code", ("door", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "xyd_request_seconds",
            "Seconds from head to last byte, by door",
            ("door",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.refusals = Counter(
            "xyd_refusals", "Refusals told to a caller, by problem code", ("code",), registry=self.registry
        )
        self.legs = Counter(
            "xyd_legs", "Legs of queries, by dataset and state", ("dataset", "state"), registry=self.registry
        )
        self.append_seconds = Histogram(
            "audit_append_seconds",
            "Seconds a committed batch took, lock to commit",
            buckets=APPEND_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "audit_batch_size", "Entries in a committed batch", buckets=BATCH, registry=self.registry
        )
        self.queue_depth = Gauge("audit_queue_depth", "Acts waiting for the appender", registry=self.registry)
        self.head_size = Gauge("audit_head_size", "Entries in this year's log", registry=self.registry)
        self.halted = Gauge("audit_halted", "1 when the journal has halted: page somebody", registry=self.registry)
        self.open_intents = Gauge("audit_open_intents", "Admitted queries without an end", registry=self.registry)
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._leg_children: dict[tuple[str, str], Counter] = {}

    def answered(self, door: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (door, status)
        pair = self._children.get(key)
        if pair is None:
            pair = self.requests.labels(door, str(status)), self.request_seconds.labels(door)
            self._children[key] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def leg(self, dataset: str, state: str) -> None:
        """Count one leg of a query."""
        child = self._leg_children.get((dataset, state))
        if child is None:
            child = self._leg_children[dataset, state] = self.legs.labels(dataset, state)
        child.inc()

    def watch(self, appender: Watched) -> None:
        """Read queue, head and halt from the appender when scraped."""
        self.queue_depth.set_function(lambda: appender.depth)
        self.head_size.set_function(lambda: appender.size)
        self.halted.set_function(lambda: bool(appender.halted))

    def committed(self, entries: int, seconds: float) -> None:
        """Count one batch of the appender."""
        self.append_seconds.observe(seconds)
        self.batch_size.observe(entries)
