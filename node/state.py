"""Short-lived state in Valkey: what was seen once, how often a bank came. One Lua call for everything one loop tick
asks.

Fail closed: when Valkey does not answer, nothing is accepted. When it was flushed, its memory of replays is gone, so
proofs made before the flush are refused: the `epoch` key tells when this memory began.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from consent.errors import Refusal
from node.clock import Clock, to_ms
from node.valkey_line import ValkeyLine

EPOCH_KEY = "xyd:epoch"
RATE_WINDOW_MS = 1000
CLAIM_TIMEOUT_S = 2.0

# KEYS[1] = epoch; then for every question: its rate counter ('' = none) and its claims.
# ARGV[1] = now; then for every question: how many claims, then each claim's expiry (ms since the epoch).
_SCRIPT = """
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
local out, k, a = {epoch}, 2, 2
while a <= #ARGV do
  local n, seen, count = tonumber(ARGV[a]), 0, 0
  a = a + 1
  if KEYS[k] ~= '' then
    count = redis.call('INCR', KEYS[k])
    if count == 1 then redis.call('PEXPIRE', KEYS[k], 2000) end
  end
  k = k + 1
  for i = 1, n do
    if not redis.call('SET', KEYS[k], '1', 'NX', 'PXAT', ARGV[a]) and seen == 0 then seen = i end
    k, a = k + 1, a + 1
  end
  out[#out + 1] = seen
  out[#out + 1] = count
end
return out
"""


_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # the name Valkey gives a script


class StateUnavailable(Refusal):
    """Valkey does not answer: nothing can be proven fresh, so nothing is accepted."""

    code = "state.unavailable"


class Claimed(NamedTuple):
    """The number of the first key that was seen before (0 = all new, else from 1), how often the rate key was used in
    its window, and when the memory of replays began.
    """

    seen: int
    calls: int
    epoch_ms: int


class Claim(NamedTuple):
    """One question: keys to accept once (key, expiry in ms since the epoch) and a rate counter's name or ''."""

    keys: tuple[tuple[str, int], ...]
    rate: str


class Claims:
    """Burns keys and counts calls; questions of one loop tick travel together."""

    def __init__(self, line: ValkeyLine, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self._waiting: list[tuple[Claim, asyncio.Future[Claimed]]] = []

    def burn(self, keys: Sequence[tuple[str, int]], rate: str = "") -> asyncio.Future[Claimed]:
        """Claim keys that may be used once and count one call against `rate`. Await the result.

        Raises StateUnavailable. A key that was seen before leaves the others claimed: a replay gains nothing by it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Claimed] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.append((Claim(tuple(keys), rate), future))
        return future

    def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._ask(batch))
        task.add_done_callback(lambda done: done.exception())

    async def _ask(self, batch: list[tuple[Claim, asyncio.Future[Claimed]]]) -> None:
        now_ms = to_ms(self._clock())
        keys, arguments = [EPOCH_KEY], [str(now_ms)]
        for claim, _ in batch:
            keys.append(f"rate:{claim.rate}:{now_ms // RATE_WINDOW_MS}" if claim.rate else "")
            arguments.append(str(len(claim.keys)))
            for key, expires_ms in claim.keys:
                keys.append(f"seen:{key}")
                arguments.append(str(max(expires_ms, now_ms + 1000)))
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                epoch, *answers = await self._line.script(_SHA, _SCRIPT, keys, arguments)
        except (RedisError, OSError, TimeoutError) as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(StateUnavailable("try again soon", cause=type(error).__name__))
            return
        for position, (_, future) in enumerate(batch):
            if not future.done():
                future.set_result(Claimed(answers[2 * position], answers[2 * position + 1], int(epoch)))
