"""The four loopback departments in a process of their own, and sources wired to them."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from adapters.pooled import PooledTransport
from adapters.registry import load_registry
from adapters.source import Departments
from adapters.transport import AiohttpTransport, Endpoint, HttpxTransport, Transport
from tests.adapters.asking import KEY, TODAY

ROOT = Path(__file__).parents[2]


class Sandbox:
    """Where the departments stand, and their controls."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self._control = httpx.Client(base_url=addresses["tax"], headers={"X-Api-Key": KEY}, trust_env=False)

    def fault(self, dataset: str, mode: str, seconds: float = 3.0) -> None:
        """Put a fault in force."""
        asked = {"dataset": dataset, "mode": mode, "seconds": seconds}
        assert self._control.post("/sandbox/faults", json=asked).status_code == 200

    def counts(self) -> dict[str, int]:
        """How often each dataset was asked so far."""
        return dict(self._control.get("/sandbox/counts").json())

    def endpoints(self, key: str = KEY) -> dict[str, Endpoint]:
        """The settings' part of the wiring."""
        return {name: Endpoint(address, key) for name, address in self.addresses.items()}

    def close(self) -> None:
        """Close the controls."""
        self._control.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    """The process, once per test worker."""
    command = [sys.executable, "-m", "deploy.sandbox.departments", "--ports", "0,0,0,0"]
    command += ["--today", TODAY.isoformat(), "--key", KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        sandbox = Sandbox(json.loads(process.stdout.readline()))
        yield sandbox
        sandbox.close()
        process.terminate()


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The departments without any fault, before and after."""
    running.fault("*", "none")
    yield running
    running.fault("*", "none")


@pytest.fixture(params=[AiohttpTransport, HttpxTransport, PooledTransport], ids=["aiohttp", "httpx", "pooled"])
def making(request: pytest.FixtureRequest) -> type[Transport]:
    """All makings of the transport keep one contract."""
    made: type[Transport] = request.param
    return made


@pytest.fixture
async def departments(sandbox: Sandbox, making: type[Transport]) -> AsyncIterator[Departments]:
    """Every source of the node, open."""
    wired = Departments.build(load_registry(), sandbox.endpoints(), making)
    await wired.open()
    yield wired
    await wired.close()
