"""How a department is called: three methods, `open`, `call`, `close`, and two makings of them.

aiohttp is the default on the hot path (0.1 ms a call; httpx costs 0.7 to 18, reference/performance.md §5); httpx is the
second making, and serves where its proxies or test transports are wanted. The contract both keep (held by one suite):

- one client per department; nothing is opened before `open` and nothing stays open after `close`
- no redirect is followed, no cookie kept, no proxy or password taken from the environment, nothing decompressed
- the deadline is total: connecting, waiting for a free connection, the header and the last byte
- a body longer than `max_bytes` is not read to its end
- asking is a read, so a connection that died before any answer (an idle one closed by the peer) is asked once more
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import aiohttp
import httpx

from adapters.errors import Oversize, TimedOut, Unreachable

MAX_CONNECTIONS = 64
"""Per department and process: departments are slow, not weak; beyond this, waiting is cheaper for both."""
KEEPALIVE_S = 30
"""Shorter than the 60 s and more at which gateways of departments close idle connections."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a department stands: base address (scheme, host, port, no path) and the key it gave this node."""

    base_url: str
    key: str = field(repr=False)


class Call(NamedTuple):
    """One question. `deadline` is on the running loop's clock, in seconds; `max_bytes` bounds the answer's body."""

    path: str
    body: bytes
    permit_id: str
    deadline: float
    max_bytes: int


class Answer(NamedTuple):
    """A whole answer: status and body as sent."""

    status: int
    body: bytes


class Transport(Protocol):
    """See the module's contract."""

    async def open(self) -> None:
        """Make the client. To be called once, on the loop that will call."""

    async def call(self, call: Call) -> Answer:
        """POST and read the answer whole. Raises Unreachable, TimedOut, Oversize; any status is an answer."""

    async def close(self) -> None:
        """Close every connection; pending calls end as Unreachable."""


def _headers(call: Call) -> dict[str, str]:
    remaining_s = call.deadline - asyncio.get_running_loop().time()
    return {"X-Permit": call.permit_id, "X-Deadline-Ms": str(max(0, int(remaining_s * 1000)))}


def _standing_headers(endpoint: Endpoint) -> dict[str, str]:
    return {"X-Api-Key": endpoint.key, "Content-Type": JSON, "Accept": JSON, "Accept-Encoding": "identity"}


class AiohttpTransport:
    """The default making."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """See Transport."""
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=_standing_headers(self._endpoint),
            skip_auto_headers=("User-Agent",),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # nothing of its own: `call` holds the one deadline
            auto_decompress=False,
            trust_env=False,
        )

    async def call(self, call: Call) -> Answer:
        """See Transport."""
        try:
            async with asyncio.timeout_at(call.deadline):
                try:
                    response = await self._ask(call)
                except aiohttp.ClientConnectorError:
                    raise
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    response = await self._ask(call)
                try:
                    return Answer(response.status, await _read(response, call.max_bytes))
                finally:
                    response.close()  # after a whole body the connection is back in the pool and this is nothing
        except TimeoutError:
            raise TimedOut from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(cause=type(error).__name__) from None

    async def _ask(self, call: Call) -> aiohttp.ClientResponse:
        session = self._session
        if session is None:
            raise Unreachable(cause="transport not open")
        url = self._endpoint.base_url + call.path
        return await session.post(url, data=call.body, headers=_headers(call), allow_redirects=False)

    async def close(self) -> None:
        """See Transport."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, never more than `max_bytes` of it: a declared length is believed by the parser, so one read will do."""
    declared = response.content_length
    if declared is not None:
        if declared > max_bytes:
            raise Oversize(cause="declared length")
        return await response.read()
    parts: list[bytes] = []
    total = 0
    async for part in response.content.iter_any():
        total += len(part)
        if total > max_bytes:
            raise Oversize(cause="read length")
        parts.append(part)
    return b"".join(parts)


class HttpxTransport:
    """The second making."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """See Transport."""
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S)
        self._client = httpx.AsyncClient(
            base_url=self._endpoint.base_url,
            headers=_standing_headers(self._endpoint),
            limits=limits,
            timeout=None,  # noqa: S113 - `call` holds the one deadline
            follow_redirects=False,
            trust_env=False,
        )

    async def call(self, call: Call) -> Answer:
        """See Transport."""
        try:
            async with asyncio.timeout_at(call.deadline):
                try:
                    response = await self._ask(call)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    response = await self._ask(call)
                try:
                    return Answer(response.status_code, await _read_raw(response, call.max_bytes))
                finally:
                    await response.aclose()
        except TimeoutError:
            raise TimedOut from None
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(cause=type(error).__name__) from None

    async def _ask(self, call: Call) -> httpx.Response:
        client = self._client
        if client is None:
            raise Unreachable(cause="transport not open")
        client.cookies.clear()
        return await client.send(
            client.build_request("POST", call.path, content=call.body, headers=_headers(call)), stream=True
        )

    async def close(self) -> None:
        """See Transport."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _read_raw(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, never more than `max_bytes` of it."""
    if int(response.headers.get("content-length", "0")) > max_bytes:
        raise Oversize(cause="declared length")
    parts: list[bytes] = []
    total = 0
    async for part in response.aiter_raw():
        total += len(part)
        if total > max_bytes:
            raise Oversize(cause="read length")
        parts.append(part)
    return b"".join(parts)
