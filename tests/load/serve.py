"""Starts one server of the bench in its own process: the gateway as `xyd serve` runs it, or a peer.

    python -m tests.load.serve gateway|plain|limit|naive --place FILE [--cpu N] [--counted]

Prints {"port": N} when it listens. With --counted it runs under cProfile from the start; at every SIGUSR1 it prints the
profile so far: {"total": calls, "functions": {name: [calls, seconds]}}.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import importlib
import json
import logging
import signal
import socket
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from node import logs
from node.settings import Settings
from tests.load.places import ROOT, pin

PEERS = ("plain", "limit", "naive")


def application(kind: str, place: dict[str, Any]) -> Any:
    """The ASGI application of a server."""
    if kind in PEERS:
        logging.basicConfig(level=logging.WARNING)
        return importlib.import_module(f"tests.load.peers.{kind}").build(place)
    from node.app import Node

    logs.configure()
    return Node(Settings(**place["settings"])).asgi


class Server(uvicorn.Server):
    """uvicorn's, telling its port once it listens."""

    def __init__(self, config: uvicorn.Config, port: int) -> None:
        super().__init__(config)
        self._port = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self.started:
            print(json.dumps({"port": self._port}), flush=True)


async def serve(kind: str, place: dict[str, Any], profile: cProfile.Profile | None) -> None:
    """Serve until terminated, with the settings of `xyd serve`."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(kind, place),
        backlog=1024,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    if profile is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell, profile)
    await Server(config, listener.getsockname()[1]).serve(sockets=[listener])


def tell(profile: cProfile.Profile) -> None:
    """Print the profile so far."""
    profile.disable()
    functions: dict[str, list[float]] = {}
    for entry in profile.getstats():
        entered = functions.setdefault(named(entry.code), [0, 0.0])
        entered[0] += entry.callcount
        entered[1] += entry.inlinetime
    print(json.dumps({"total": sum(calls for calls, _ in functions.values()), "functions": functions}), flush=True)
    profile.enable()


def named(code: Any) -> str:
    """A function's place, short."""
    if isinstance(code, str):
        return code
    parts = Path(code.co_filename).parts
    short = "/".join(parts[len(ROOT.parts) :]) if parts[: len(ROOT.parts)] == ROOT.parts else "/".join(parts[-3:])
    return f"{short.partition('site-packages/')[2] or short}:{code.co_firstlineno} {code.co_name}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.load.serve")
    parser.add_argument("kind", choices=("gateway", *PEERS))
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--counted", action="store_true")
    asked = parser.parse_args()
    pin(asked.cpu)
    place = json.loads(asked.place.read_text(encoding="utf-8"))
    profile = cProfile.Profile() if asked.counted else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if profile is not None:
            profile.enable()
        runner.run(serve(asked.kind, place, profile))


if __name__ == "__main__":
    main()
