"""A process that appends to a database on its own clock: `python -m tests.faults.append_process URL NAME COUNT`.

Prints one line per receipt: index, size, leaf hash. For tests with several processes on one log.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256

from consent.enterprise import issue_fictitious
from node.app import make_ledger
from node.clock import utc_now
from node.journal.appender import Appender
from node.journal.subjects import SubjectKeys
from tests.faults.journal import NAMES, SEALING_KEY, note


async def run(database: str, name: str, count: int) -> None:
    """Append `count` acts, eight at a time, about three enterprises."""
    appender = Appender(make_ledger(database), NAMES, SubjectKeys(SEALING_KEY), utc_now)
    await appender.start()
    try:
        for start in range(0, count, 8):
            acts = [note(f"{name}-{n}", issue_fictitious(1 + n % 3), name) for n in range(start, min(start + 8, count))]
            for (receipt,) in await asyncio.gather(*[appender.append(act) for act in acts]):
                print(receipt.index, receipt.size, sha256(b"\x00" + receipt.leaf).hexdigest(), flush=True)
    finally:
        await appender.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
