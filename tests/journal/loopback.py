"""A loopback server of log files, as tlog-tiles lays them out: 404 for the unknown, entries behind a bearer token."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: dict[str, bytes], token: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.files, self.token = files, token


class _Door(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.removeprefix("/log/")
        token = self.server.token
        if path == "moved":
            self._answer(302, b"")
        elif "entries" in path and token and self.headers.get("Authorization") != f"Bearer {token}":
            self._answer(401, b"")
        elif path in self.server.files:
            self._answer(200, self.server.files[path])
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the tests say what went wrong."""


@contextmanager
def serving(files: dict[str, bytes], token: str | None = None) -> Iterator[str]:
    """The URL prefix of a server of these files; the dictionary may be changed while it runs."""
    with _Server(files, token) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/log"
        finally:
            server.shutdown()
            thread.join()
