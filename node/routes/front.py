"""The front dispatcher: takes the hot door's calls before FastAPI and hands everything else on (pure ASGI).

It brings its own body limit and the last resort: an error nobody named becomes a bare 500 problem with an id.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from node.routes import problems
from node.routes.gateway import MAX_BODY, Gateway, HttpAnswer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("xyd.edge")


class Front:
    """ASGI application around the inner one."""

    def __init__(self, gateway: Gateway, inner: App, *, fast: bool) -> None:
        self._gateway, self._inner = gateway, inner
        self._paths = gateway.paths if fast else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one connection."""
        try:
            if scope["type"] == "http" and scope["path"] in self._paths and scope["method"] == "POST":
                body = await read_body(receive)
                answer = await self._gateway.handle(scope["path"], scope["headers"], body)
                await reply(send, answer)
            else:
                await self._inner(scope, receive, send)
        except Exception as error:  # the ASGI edge: a bug answers 500 and leaks nothing
            if scope["type"] != "http":
                raise
            identity = str(uuid.uuid4())
            log.error("unhandled %s, id %s", type(error).__name__, identity, exc_info=error)
            problem = problems.render("node.internal", "", interaction_id=identity, instance=scope["path"])
            await reply(send, HttpAnswer(problem.status, list(problem.headers), problem.body))


async def read_body(receive: Receive) -> bytes:
    """The request's body, at most one byte over the limit: enough to refuse it."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
    return body


async def reply(send: Send, answer: HttpAnswer) -> None:
    """Send a whole answer."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
