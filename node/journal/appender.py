"""The appender: one task per process that makes acts durable, many at a time.

batch = lock the head → take what is queued → re-check every act's guards → write entries, full tiles, effects and the
signed checkpoint → COMMIT → wake the waiters. An act is answered only after its batch is durable; while the journal
cannot commit every append raises JournalUnavailable and nothing is released. A lost compare-and-swap, a root that is
not ours or a clock that runs backwards halts the process for good (audit.md §3.2, §3.8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from consent.evidence import Evidence
from node.clock import Clock, to_ms
from node.journal.act import Act, GuardFailed, Insert, JournalUnavailable, Receipt
from node.journal.batch import Composer, Planned, advance, empty_writes, judge, revoked_twice, wanted
from node.journal.errors import LeafRefused, Unproven
from node.journal.ledger import Found, HeadMoved, HeadRow, Ledger, LedgerFault, Writes
from node.journal.standing import Halted, LogNames, Standing
from node.journal.subjects import SubjectKeys

MAX_BATCH = 512
"""Acts in one transaction: bounds its latency and what one bad act can make its neighbours repeat."""
RETRY_S = 0.2
DOUBT_S = 5.0
"""How long the outcome of a commit is asked for before its acts are given up as in doubt."""
DRAIN_S = 5.0

log = logging.getLogger("xyd.journal")
Observer = Callable[[int, float], None]
"""Told the number of entries and the seconds of every committed batch."""


class Waiting(NamedTuple):
    """An act in the queue and who waits for it."""

    act: Act
    future: asyncio.Future[tuple[Receipt, ...]]


class Appender:
    """See the module. `append` may be called from any task of the loop it was started on."""

    def __init__(self, ledger: Ledger, names: LogNames, keys: SubjectKeys, clock: Clock, *, queue: int = 4096) -> None:
        self._ledger, self._clock, self._limit = ledger, clock, queue
        self._standing = Standing(ledger, names)
        self._composer = Composer(keys)
        self._queue: list[Waiting] = []
        self._suspects: list[Waiting] = []
        self._flight: list[Waiting] = []
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self.halted = ""
        self.size = 0
        self.observe: Observer = lambda _entries, _seconds: None

    async def start(self) -> None:
        """Connect, run the boot self-check, open the first log if there is none, then serve.

        Raises on any doubt, and then holds neither the lock nor a connection.
        """
        try:
            await self._boot()
            self._task = asyncio.create_task(self._loop(), name="appender")
        except (HeadMoved, Unproven, Halted, LedgerFault) as refusal:
            log.critical("the journal does not start: %s: %s", type(refusal).__name__, refusal)
            raise
        finally:
            if self._task is None:
                await self._ledger.close()

    async def _boot(self) -> None:
        await self._ledger.open()
        head = await self._standing.lock(self._clock)
        await self._standing.level_with(head)
        await self._standing.check_edge(head)
        if head.size == 0:
            await self._run(head, [])
        else:
            await self._ledger.rollback()
            self.size = head.size

    async def stop(self) -> None:
        """Take nothing more, let what is queued or under way end for a moment; what is left raises
        JournalUnavailable.
        """
        self._ended = True
        if self._task is not None:
            under_way = [waiting.future for waiting in (*self._flight, *self._suspects, *self._queue)]
            if under_way:
                await asyncio.wait(under_way, timeout=DRAIN_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._fail(JournalUnavailable("stopping"))
        await self._ledger.close()

    def append(self, act: Act) -> asyncio.Future[tuple[Receipt, ...]]:
        """Queue an act; await the result for one receipt per evidence.

        Raises JournalUnavailable (halted, ended, or the queue is full) at once or when its batch fails, GuardFailed
        when a guard did not hold under the lock, ValueError for an act without evidence: nothing changes unseen.
        """
        if self.halted:
            raise Halted(self.halted)
        if self._ended:
            raise JournalUnavailable("stopped")
        if not act.evidence:
            raise ValueError("an act leaves evidence")
        if len(self._queue) >= self._limit:
            raise JournalUnavailable("queue full")
        future: asyncio.Future[tuple[Receipt, ...]] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(act, future))
        self._ready.set()
        return future

    @property
    def depth(self) -> int:
        """Acts waiting."""
        return len(self._queue) + len(self._suspects)

    async def _loop(self) -> None:
        while not self.halted:
            await self._ready.wait()
            self._ready.clear()
            while self.depth and not self.halted:
                await self._turn()

    async def _turn(self) -> None:
        """One batch; on a fault its acts are answered and the loop goes on, on a halt it ends."""
        try:
            head = await self._standing.lock(self._clock)
            self._flight = self._take()
            await self._run(head, self._flight)
            self._flight = []
        except LeafRefused as refused:  # an act that cannot be written says nothing about the log
            await self._ledger.rollback()
            self._spoilt(refused)
        except (HeadMoved, Unproven, Halted) as error:
            await self._ledger.rollback()
            self._halt(f"{type(error).__name__}: {error}")
        except LedgerFault as fault:
            await self._after_fault(fault)
        except Exception as error:  # the loop must survive a bug in one batch; nothing of it was released
            log.error("batch failed: %s", type(error).__name__, exc_info=error)
            await self._ledger.rollback()
            self._spoilt(error)

    def _take(self) -> list[Waiting]:
        """The next batch: what was queued, or one act of a batch that was spoilt."""
        if self._suspects:
            return [self._suspects.pop(0)]
        batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        return batch

    async def _after_fault(self, fault: LedgerFault) -> None:
        log.warning("ledger fault: %s", fault)
        await self._ledger.rollback()
        if self._flight and not fault.lost:
            self._spoilt(fault)
            return
        self._fail(JournalUnavailable(str(fault)))
        await self._reconnect()

    def _spoilt(self, error: BaseException) -> None:
        """One act may have spoilt the batch: a single one is failed, several are tried one by one, before the queue."""
        left = [waiting for waiting in self._flight if not waiting.future.done()]
        self._flight = []
        if len(left) > 1:
            self._suspects += left
        elif left:
            left[0].future.set_exception(JournalUnavailable(type(error).__name__))

    async def _reconnect(self) -> None:
        """Wait for the store to come back; whoever asks meanwhile is refused, not kept waiting."""
        while not self.halted:
            await self._ledger.close()
            try:
                await self._ledger.open()
            except LedgerFault:
                self._fail(JournalUnavailable("no ledger"))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _run(self, head: HeadRow, batch: Sequence[Waiting]) -> None:
        """Judge, compose, write, commit, answer."""
        started = asyncio.get_running_loop().time()
        frontier, signer = await self._standing.level_with(head)
        writes = empty_writes(head, max(to_ms(self._clock()), head.last_ts))
        found = await self._ledger.look(wanted([w.act for w in batch], head.log_year))
        plan = [await self._plan(number, waiting.act, found, writes) for number, waiting in enumerate(batch)]
        if head.size == 0:
            plan.insert(0, Planned(-1, (await self._standing.opening(head),), ""))
        if not any(planned.evidence for planned in plan):
            await self._ledger.rollback()
            self._answer(plan, [[] for _ in plan], batch)
            return
        candidate, receipts = self._composer.compose(plan, found, writes, frontier=frontier, signer=signer)
        await self._ledger.write(writes)
        await self._commit(writes)
        self._standing.adopt(head.log_year, candidate)
        self.size = candidate.size
        self._answer(plan, receipts, batch)
        self.observe(len(writes.entries), asyncio.get_running_loop().time() - started)

    async def _plan(self, number: int, act: Act, found: Found, writes: Writes) -> Planned:
        """Judge one act on the state so far. A refused one leaves its DENY, with the reason found under the lock."""
        refused = judge(act.guards, found, writes.ts) or revoked_twice(act, found) or await self._insert(act)
        if not refused:
            advance(act, found, writes)
            return Planned(number, act.evidence, "")
        return Planned(number, _denial(act.on_refusal, refused), refused)

    async def _insert(self, act: Act) -> str:
        rows = [effect.row for effect in act.effects if type(effect) is Insert]
        return "row.exists" if rows and not await self._ledger.insert(rows) else ""

    async def _commit(self, writes: Writes) -> None:
        """COMMIT; when its outcome is unknown, look on a fresh connection whether our leaves stand at our indexes."""
        try:
            await self._ledger.commit()
        except LedgerFault as fault:
            if not await self._committed(writes):
                raise LedgerFault(fault.__cause__ or fault) from fault

    async def _committed(self, writes: Writes) -> bool:
        """Looked at under the lock: a commit whose connection broke may still be under way, and holds it until it
        ended.
        """
        ours = [entry.leaf_hash for entry in writes.entries]
        loop = asyncio.get_running_loop()
        until = loop.time() + DOUBT_S
        while loop.time() < until:
            await self._ledger.close()
            await asyncio.sleep(RETRY_S)
            with suppress(LedgerFault):
                await self._ledger.open()
                await self._ledger.lock()
                stored = await self._ledger.leaf_hashes(writes.head.log_year, writes.head.size, writes.size)
                await self._ledger.rollback()
                return ours == stored
        raise LedgerFault(TimeoutError("the outcome of a commit stays unknown"), lost=True)

    def _answer(self, plan: Sequence[Planned], receipts: list[list[Receipt]], batch: Sequence[Waiting]) -> None:
        for planned, share in zip(plan, receipts, strict=True):
            if planned.number < 0 or (future := batch[planned.number].future).done():
                continue
            if planned.refused:
                future.set_exception(GuardFailed(planned.refused, share[0] if share else None))
            else:
                future.set_result(tuple(share))

    def _fail(self, error: JournalUnavailable) -> None:
        """Answer everybody: whose batch was under way, who was to be tried alone, who waits."""
        for waiting in (*self._flight, *self._suspects, *self._queue):
            if not waiting.future.done():
                waiting.future.set_exception(error)
        self._flight, self._suspects, self._queue = [], [], []

    def _halt(self, reason: str) -> None:
        self.halted = reason
        log.critical("the journal halted: %s", reason)
        self._fail(Halted(reason))


def _denial(evidence: Evidence | None, reason: str) -> tuple[Evidence, ...]:
    """The DENY of a refused act. A used key decides nothing about the enterprise, so it leaves none."""
    return (
        ()
        if evidence is None or reason == "key.used"
        else (replace(evidence, public={**evidence.public, "why": reason}),)
    )
