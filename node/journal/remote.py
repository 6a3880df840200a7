"""Verify a log over HTTP as any outsider can (C2SP tlog-tiles), with httpx.

Hash tiles and checkpoints are public; entries need a bearer token. Without one the tree is verified from its tiles,
and the leaves and laws are reported as not checked.
"""

import httpx

from node.journal.errors import TileRefused
from node.journal.frontier import TILE_BYTES, TILE_WIDTH
from node.journal.merkle import HASH_BYTES
from node.journal.note import MAX_NOTE_BYTES
from node.journal.report import Report
from node.journal.tiles import ENTRIES, MAX_BUNDLE_BYTES, Address, decode_bundle, encode_bundle, parse_path
from node.journal.verify import Trust, verify_log


class Unreachable(Exception):
    """The log did not answer, or answered with what is neither content nor 404."""


class HttpLog:
    """A reader of the log at a prefix. Asks for the full tile when a partial one is gone because the log has grown
    since.
    """

    def __init__(self, client: httpx.Client, prefix: str, token: str | None = None) -> None:
        self._client, self._prefix = client, prefix.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def read(self, path: str) -> bytes | None:
        """The bytes at a path, None on 404. Raises Unreachable on anything else, redirects included."""
        if path == "checkpoint":
            return self._get(path, MAX_NOTE_BYTES)
        address = parse_path(path)
        limit = MAX_BUNDLE_BYTES if address.level == ENTRIES else TILE_BYTES
        data = self._get(path, limit)
        if data is None and address.width < TILE_WIDTH:
            data = self._get(address._replace(width=TILE_WIDTH).path, limit)
            return None if data is None else _shortened(data, address)
        return data

    def _get(self, path: str, limit: int) -> bytes | None:
        url = f"{self._prefix}/{path}"
        try:
            with self._client.stream("GET", url, headers=self._headers, follow_redirects=False) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise Unreachable(f"{url} answered {response.status_code}")
                return _bounded(response, limit)
        except httpx.HTTPError as cause:
            raise Unreachable(f"{url}: {cause}") from cause


def verify_remote(
    client: httpx.Client, prefix: str, *, vkey: str, token: str | None = None, pinned: bool = True
) -> Report:
    """Verify the log at `prefix` against a key known beforehand; with a token also its entries and the laws.

    The client carries timeouts and TLS settings. Raises Unreachable.
    """
    log = HttpLog(client, prefix, token)
    return verify_log(log.read, Trust(vkey, "pinned" if pinned else "node"), entries=token is not None)


def _bounded(response: httpx.Response, limit: int) -> bytes:
    """The body, given up as soon as it is longer than it can rightly be."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise Unreachable(f"{response.url} answered more than {limit} bytes")
    return bytes(body)


def _shortened(data: bytes, address: Address) -> bytes:
    """The partial tile that a full one begins with; a malformed bundle is handed on for the verifier to refuse."""
    if address.level != ENTRIES:
        return data[: address.width * HASH_BYTES]
    try:
        return encode_bundle(decode_bundle(data)[: address.width])
    except TileRefused:
        return data
