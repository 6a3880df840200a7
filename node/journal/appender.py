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
from node.journal.errors import Unproven
from node.journal.ledger import Found, HeadMoved, HeadRow, Ledger, LedgerFault, Writes
from node.journal.standing import Halted, LogNames, Standing
from node.journal.subjects import SubjectKeys

MAX_BATCH = 512
"""Acts in one transaction: bounds its latency and what one bad act can make its neighbours repeat."""
RETRY_S = 0.2
DOUBT_TRIES = 25
DRAIN_S = 5

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
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.halted = ""
        self.size = 0
        self.observe: Observer = lambda _entries, _seconds: None

    async def start(self) -> None:
        """Connect, run the boot self-check, open the first log if there is none, then serve. Raises on any doubt."""
        await self._ledger.open()
        head = await self._standing.lock(to_ms(self._clock()))
        await self._standing.level_with(head)
        await self._standing.check_edge(head)
        if head.size == 0:
            await self._run(head, [])
        else:
            await self._ledger.rollback()
            self.size = head.size
        self._task = asyncio.create_task(self._loop(), name="appender")

    async def stop(self) -> None:
        """Let the queue drain for a moment, then stop; what is left raises JournalUnavailable."""
        if self._task is not None:
            await asyncio.wait([waiting.future for waiting in self._queue] or [self._task], timeout=self._drain_s())
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._fail(self._take_all(), JournalUnavailable("stopping"))
        await self._ledger.close()

    def append(self, act: Act) -> asyncio.Future[tuple[Receipt, ...]]:
        """Queue an act; await the result for one receipt per evidence.

        Raises JournalUnavailable (halted, or the queue is full) at once or when its batch fails, GuardFailed when a
        guard did not hold under the lock.
        """
        if self.halted:
            raise Halted(self.halted)
        if len(self._queue) >= self._limit:
            raise JournalUnavailable("queue full")
        future: asyncio.Future[tuple[Receipt, ...]] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(act, future))
        self._ready.set()
        return future

    def _drain_s(self) -> float:
        return DRAIN_S if self._queue and not self.halted else 0

    @property
    def depth(self) -> int:
        """Acts waiting."""
        return len(self._queue)

    async def _loop(self) -> None:
        while not self.halted:
            await self._ready.wait()
            self._ready.clear()
            while self._queue and not self.halted:
                await self._turn()

    async def _turn(self) -> None:
        """One batch; on a fault its acts are answered and the loop goes on, on a halt it ends."""
        batch: list[Waiting] = []
        try:
            head = await self._standing.lock(to_ms(self._clock()))
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            await self._run(head, batch)
        except (HeadMoved, Unproven, Halted) as error:
            await self._ledger.rollback()
            self._halt(f"{type(error).__name__}: {error}", batch)
        except LedgerFault as fault:
            await self._after_fault(fault, batch)
        except Exception as error:  # the loop must survive a bug in one batch; nothing of it was released
            log.error("batch failed: %s", type(error).__name__, exc_info=error)
            await self._ledger.rollback()
            await self._singly(batch, error)

    async def _after_fault(self, fault: LedgerFault, batch: list[Waiting]) -> None:
        log.warning("ledger fault: %s", fault)
        await self._ledger.rollback()
        if batch and not fault.lost:
            await self._singly(batch, fault)
            return
        self._fail([*batch, *self._take_all()], JournalUnavailable(str(fault)))
        self._standing.forget()
        await self._reconnect()

    async def _singly(self, batch: list[Waiting], error: BaseException) -> None:
        """One act may have spoilt the batch: a single one is failed, several are tried one by one."""
        if len(batch) <= 1:
            self._fail(batch, JournalUnavailable(str(error)))
            return
        for waiting in batch:
            rest, self._queue = self._queue, [waiting]
            await self._turn()
            self._queue = [*self._queue, *rest]
            self._ready.set()

    async def _reconnect(self) -> None:
        """Wait for the store to come back; whoever asks meanwhile is refused, not kept waiting."""
        while not self.halted:
            await self._ledger.close()
            try:
                await self._ledger.open()
            except LedgerFault:
                self._fail(self._take_all(), JournalUnavailable("no ledger"))
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _take_all(self) -> list[Waiting]:
        taken, self._queue = self._queue, []
        return taken

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
        self._standing.frontier, self.size = candidate, candidate.size
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
        for effect in act.effects:
            if type(effect) is Insert and not await self._ledger.insert(effect.row):
                return "row.exists"
        return ""

    async def _commit(self, writes: Writes) -> None:
        """COMMIT; when its outcome is unknown, look on a fresh connection whether our leaves stand at our indexes."""
        try:
            await self._ledger.commit()
        except LedgerFault as fault:
            if not await self._committed(writes):
                raise LedgerFault(fault) from fault

    async def _committed(self, writes: Writes) -> bool:
        ours = [entry.leaf_hash for entry in writes.entries]
        for _ in range(DOUBT_TRIES):
            await self._ledger.close()
            await asyncio.sleep(RETRY_S)
            with suppress(LedgerFault):
                await self._ledger.open()
                return ours == await self._ledger.leaf_hashes(writes.head.log_year, writes.head.size, writes.size)
        raise LedgerFault(TimeoutError("the outcome of a commit stays unknown"), lost=True)

    def _answer(self, plan: Sequence[Planned], receipts: list[list[Receipt]], batch: Sequence[Waiting]) -> None:
        for planned, share in zip(plan, receipts, strict=True):
            if planned.number < 0 or (future := batch[planned.number].future).done():
                continue
            if planned.refused:
                future.set_exception(GuardFailed(planned.refused, share[0] if share else None))
            else:
                future.set_result(tuple(share))

    def _fail(self, batch: Sequence[Waiting], error: JournalUnavailable) -> None:
        for waiting in batch:
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _halt(self, reason: str, batch: list[Waiting]) -> None:
        self.halted = reason
        log.critical("the journal halted: %s", reason)
        self._fail([*batch, *self._take_all()], Halted(reason))


def _denial(evidence: Evidence | None, reason: str) -> tuple[Evidence, ...]:
    """The DENY of a refused act. A used key decides nothing about the enterprise, so it leaves none."""
    return (
        ()
        if evidence is None or reason == "key.used"
        else (replace(evidence, public={**evidence.public, "why": reason}),)
    )
