"""Housekeeping: queries that a crash left open are closed in the journal, kept answers past their time are removed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, delete, select

from consent.enterprise import CreditCode
from consent.evidence import Evidence, Kind
from node.clock import Clock, to_ms
from node.database import Reader
from node.journal.act import Act, JournalUnavailable
from node.journal.appender import Appender
from node.journal.reading import Proofs
from node.journal.tables import Entry, KeptAnswer, Subject
from node.metrics import Metrics

EVERY_S = 30
OPEN_AFTER_MS = 600_000
"""A query may take a minute; ten minutes after its REQ nobody is going to release anything (audit.md §3.1)."""
LOOK_BACK_MS = 2 * 86_400_000

log = logging.getLogger("xyd.housekeeping")


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """See the module."""

    engine: AsyncEngine
    reader: Reader
    proofs: Proofs
    appender: Appender
    clock: Clock
    metrics: Metrics

    async def forever(self) -> None:
        """Tidy up now and every half minute; an outage is waited out."""
        while True:
            try:
                await self.round()
            except (JournalUnavailable, SQLAlchemyError, OSError) as error:
                log.warning("housekeeping waits: %s", type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def round(self) -> int:
        """One round; how many open queries were closed."""
        now_ms = to_ms(self.clock())
        async with self.engine.begin() as connection:
            await connection.execute(delete(KeptAnswer).where(col(KeptAnswer.expires_ms) < now_ms))
        left = await self.proofs.open_intents(now_ms - OPEN_AFTER_MS, now_ms - LOOK_BACK_MS)
        self.metrics.open_intents.set(len(left))
        for entry in left:
            await self._close(entry)
        return len(left)

    async def _close(self, entry: Entry) -> None:
        subject = await self.reader.first(select(Subject).where(Subject.pseudonym == entry.sub))
        enterprise = None if subject is None else CreditCode.parse(subject.code)
        public = {"req": entry.req, "why": "no_end"}
        await self.appender.append(Act((Evidence(Kind.ABORT, entry.org, enterprise, public),)))
