"""Measuring: CPU of a process tree, medians with quartiles, the machine's own pace, and how a figure is told."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


def cpu_s(pid: int) -> float:
    """Seconds of CPU (user + system, all threads) of a process and its children, from /proc."""
    return sum(_own_cpu_s(each) for each in (pid, *_children(pid)))


def _own_cpu_s(pid: int) -> float:
    """From schedstat (ns) of every thread where the kernel keeps it, else from stat (hundredths)."""
    try:
        threads = list((PROC / str(pid) / "task").iterdir())
        found = sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9
        if found:
            return found
    except (OSError, ValueError, IndexError):
        pass
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # a child that has just ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queued_s(pid: int) -> float:
    """Seconds a process was ready and waited for a CPU that somebody else had; 0 where the kernel does not tell."""
    try:
        threads = list((PROC / str(pid) / "task").iterdir())
        return sum(int((each / "schedstat").read_text().split()[1]) for each in threads) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in (PROC / str(pid) / "task").glob("*"):
        try:
            direct = [int(each) for each in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *_children(child)]
    return found


class Spread(NamedTuple):
    """A median and its quartiles."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Median and quartiles of some values."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return Spread(ordered[0], ordered[0], ordered[0])
    low, middle, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(middle, low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def loop_ms() -> float:
    """A fixed piece of pure Python, median of 9, in milliseconds: tells a slow moment of the machine from a slow
    node.
    """
    times = []
    for _ in range(9):
        started, total = time.perf_counter(), 0
        for number in range(60_000):
            total += number * number % 7
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def fdatasync_ms(folder: Path) -> float:
    """Append 4 KB and make it durable, median of 30, in milliseconds."""
    times = []
    descriptor = os.open(folder / "probe", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(30):
            os.write(descriptor, b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - started) * 1000)
    finally:
        os.close(descriptor)
    return statistics.median(times)


@dataclass(frozen=True)
class Figure:
    """What is published: a value, and where there is a peer the ratio to it."""

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Goal:
    """What a figure should reach. `least` bounds the ratio (or the value) from below, `most` from above."""

    least: float | None = None
    most: float | None = None
    stretch: float | None = None

    def verdict(self, reached: float) -> str:
        """In words."""
        if self.least is not None:
            first = "reached" if reached >= self.least else "MISSED"
            more = "" if self.stretch is None or reached < self.stretch else f", stretch {self.stretch:g} too"
            return f"target >= {self.least:g} {first}{more}"
        if self.most is not None:
            first = "reached" if reached <= self.most else "MISSED"
            more = "" if self.stretch is None or reached > self.stretch else f", stretch {self.stretch:g} too"
            return f"target <= {self.most:g} {first}{more}"
        return ""


class Told:
    """Collects figures and prints each as it comes: text for people, or JSON on stdout and text on stderr.

    `top`: how many functions to list.
    """

    def __init__(self, *, as_json: bool, top: int = 0) -> None:
        self._json = as_json
        self.top = top
        self.missed: list[str] = []

    def say(self, text: str) -> None:
        """A line for people."""
        print(text, file=sys.stderr if self._json else sys.stdout, flush=True)

    def figure(
        self, figure: Figure, *, goal: Goal | None = None, note: str = "", quartiles: Spread | None = None
    ) -> None:
        """One figure. The goal is held against the ratio where there is one, else against the value."""
        against = f" / {figure.against}" if figure.against else ""
        ratio = "" if figure.ratio is None else f"x{figure.ratio:.2f}"
        if quartiles is not None:
            ratio += f" [{quartiles.low:.2f}..{quartiles.high:.2f}]"
        verdict = goal.verdict(figure.value if figure.ratio is None else figure.ratio) if goal else ""
        if "MISSED" in verdict:
            self.missed.append(f"{figure.name}{against}")
        line = f"  {figure.name + against:<28}{figure.value:>12,.2f} {figure.unit:<12}{ratio:<24}{verdict or note}"
        self.say(line.rstrip() + (f"  ({note})" if verdict and note else ""))
        if self._json:
            rounded = asdict(figure) | {"value": round(figure.value, 4)}
            rounded["ratio"] = None if figure.ratio is None else round(figure.ratio, 4)
            print(json.dumps(rounded), flush=True)
