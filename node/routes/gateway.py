"""The bank's data door: `POST /v1/queries` and `POST /v1/assessments`, a plain function from bytes to bytes.

The FastAPI routes and the front dispatcher call the same function, so both have the same limits, errors and ids.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from consent.errors import Invalid, ProofNotAccepted, Refusal, Unauthenticated
from node import logs
from node.errors import StoreUnavailable
from node.flows.admission import Presented
from node.metrics import Metrics
from node.routes import problems

MAX_BODY = 65_536
"""A query names at most 62 items; 64 KiB is a hundred times a real one."""
DEFAULT_WAIT_S = 4.0
MAX_WAIT_S = 60.0
_KEY = re.compile(rb"[\x21-\x7e]{1,64}")
_INTERACTION = re.compile(rb"[A-Za-z0-9._\-]{8,64}")
_PREFER = re.compile(rb"(?i:(?:^|[,;\s])wait=\"?(\d{1,3})\"?(?:$|[,;\s]))")

log = logging.getLogger("xyd.gateway")
Flow = Callable[[Presented, bytes, float], Awaitable[bytes]]
Told = Callable[[dict[str, object]], None]
Header = tuple[bytes, bytes]


class HttpAnswer(NamedTuple):
    """What goes back: status, headers, body."""

    status: int
    headers: list[Header]
    body: bytes


class TooLarge(Refusal):
    """The body is over the limit."""

    code = "request.too_large"


class WrongMedia(Refusal):
    """The body is not JSON by its own word."""

    code = "request.media"


class KeyMissing(Refusal):
    """No usable Idempotency-Key."""

    code = "idempotency.key_missing"


def fresh_interaction() -> str:
    """An interaction id for a call that brought none."""
    return str(uuid.uuid4())


def interaction_of(headers: Iterable[Header]) -> str:
    """The caller's interaction id when it is well formed, else a fresh one."""
    return _Seen(headers).interaction()


class Gateway:
    """Doors by path, each a flow. Made once; holds no state of any request."""

    def __init__(
        self,
        flows: Mapping[str, Flow],
        metrics: Metrics,
        *,
        longest_s: float = DEFAULT_WAIT_S,
        told: Told = logs.request,
    ) -> None:
        """`longest_s` is the most a caller may wait for the departments, whatever it prefers; `told` gets each line."""
        self._flows, self._metrics, self._longest, self._tell = flows, metrics, longest_s, told

    @property
    def paths(self) -> frozenset[str]:
        """The paths it answers, POST only."""
        return frozenset(self._flows)

    async def handle(self, path: str, headers: Iterable[Header], body: bytes) -> HttpAnswer:
        """One call. Never raises: whatever happens becomes a problem document with the interaction id."""
        started = time.perf_counter()
        seen = _Seen(headers)
        interaction = seen.interaction()
        cause = code = ""
        try:
            presented = seen.presented(path, body, interaction)
            wait_s = min(seen.wait(), self._longest)
            answer = HttpAnswer(200, _ok_headers(seen, wait_s), await self._flows[path](presented, body, wait_s))
        except Refusal as refusal:
            code, cause = refusal.code, refusal.cause
            answer = _problem(problems.of_refusal(refusal, interaction_id=interaction, instance=path), refusal)
        except StoreUnavailable as outage:
            code, cause = "audit.unavailable", str(outage)
            answer = _problem(problems.render(code, "", interaction_id=interaction, instance=path), None)
        answer.headers.append((b"x-interaction-id", interaction.encode()))
        self._told(path, answer, code, cause, interaction, time.perf_counter() - started)
        return answer

    def _told(self, path: str, answer: HttpAnswer, code: str, cause: str, interaction: str, seconds: float) -> None:
        door = path.rpartition("/")[2]
        self._metrics.answered(door, answer.status, seconds)
        if code:
            self._metrics.refusals.labels(code).inc()
        line: dict[str, object] = {"door": door, "status": answer.status, "ms": round(seconds * 1000, 1)}
        line["interaction_id"] = interaction
        if code:
            line |= {"code": code, "cause": cause}
        self._tell(line)


class _Seen:
    """The headers of a call. A header that may stand once and stands twice is refused."""

    __slots__ = ("_proofs", "_twice", "_values")

    def __init__(self, headers: Iterable[Header]) -> None:
        self._values: dict[bytes, bytes] = {}
        self._proofs: list[bytes] = []
        self._twice = False
        for name, value in headers:
            if name == b"dpop":
                self._proofs.append(value)
            elif name in self._values:
                self._twice = self._twice or name in (b"authorization", b"idempotency-key", b"content-type")
            else:
                self._values[name] = value

    def interaction(self) -> str:
        """The caller's X-Interaction-Id when it is well formed (FAPI 2.0 §5.3.4), else a fresh one."""
        given = self._values.get(b"x-interaction-id") or self._values.get(b"x-fapi-interaction-id") or b""
        return given.decode() if _INTERACTION.fullmatch(given) else fresh_interaction()

    def wait(self) -> float:
        """Seconds from `Prefer: wait=N` (RFC 7240 §4.3), within bounds."""
        found = _PREFER.search(self._values.get(b"prefer", b""))
        return DEFAULT_WAIT_S if found is None else min(max(float(found[1]), 0.1), MAX_WAIT_S)

    @property
    def waits(self) -> bool:
        """Whether the caller said how long it waits."""
        return _PREFER.search(self._values.get(b"prefer", b"")) is not None

    def presented(self, path: str, body: bytes, interaction: str) -> Presented:
        """What the call carries. Raises Invalid, TooLarge, WrongMedia, KeyMissing, Unauthenticated."""
        if self._twice:
            raise Invalid("a header stands twice")
        if len(body) > MAX_BODY:
            raise TooLarge("the body is too large", extra={"limit": "body_bytes", "max": MAX_BODY})
        authorization = self._values.get(b"authorization", b"")
        if not authorization or not authorization.isascii():
            raise Unauthenticated("a DPoP-bound access token is needed")
        media = self._values.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":
            raise WrongMedia("send application/json")
        key = self._values.get(b"idempotency-key", b"")
        if not _KEY.fullmatch(key):
            raise KeyMissing("an Idempotency-Key of 1 to 64 printable ASCII characters is needed")
        return Presented(
            path,
            authorization.decode("ascii"),
            tuple(proof.decode("latin-1") for proof in self._proofs),
            key.decode("ascii"),
            sha256(path.encode() + b"\n" + body).hexdigest(),
            interaction,
        )


def _ok_headers(seen: _Seen, wait_s: float) -> list[Header]:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if seen.waits:
        headers.append((b"preference-applied", b"wait=%d" % int(wait_s)))
    return headers


def _problem(problem: problems.Problem, refusal: Refusal | None) -> HttpAnswer:
    headers = list(problem.headers)
    if isinstance(refusal, Unauthenticated):
        error = b"invalid_dpop_proof" if isinstance(refusal, ProofNotAccepted) else b"invalid_token"
        headers.append((b"www-authenticate", b'DPoP error="%s", algs="ES256 PS256 EdDSA Ed25519"' % error))
    return HttpAnswer(problem.status, headers, problem.body)
