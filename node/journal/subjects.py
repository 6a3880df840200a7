"""Enterprises as the journal knows them: a random pseudonym a year, and a key of their own that seals their details.

The pseudonym is drawn, never derived (60 million codes enumerate in half a minute). Losing the wrapped key is erasure.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

from consent.sealing import Sealer, new_key
from node.journal.ledger import SubjectRow

CACHED_KEYS = 20_000
"""Unwrapped keys kept in memory, least recently used first out: about 5 MB."""
NODE_IDENTITY = "node"


class SubjectKeys:
    """Unwraps subjects' keys with the node's key-encryption key and keeps the ciphers of recent ones."""

    def __init__(self, sealing_key: bytes) -> None:
        self._wrapper = Sealer(sealing_key)
        self._node = Sealer(sealing_key)
        self._sealers: OrderedDict[str, Sealer] = OrderedDict()

    def fresh(self) -> SubjectRow:
        """A subject that the year's log has not met: new pseudonym, new key, counter 0."""
        pseudonym = secrets.token_hex(16)
        wrapped = self._wrapper.seal(new_key(), _identity(pseudonym))
        return SubjectRow(pseudonym, 0, wrapped)

    def sealer(self, row: SubjectRow | None) -> Sealer:
        """The cipher of a subject, or the node's own for entries about nobody. Raises SealBroken."""
        if row is None:
            return self._node
        found = self._sealers.get(row.pseudonym)
        if found is None:
            found = Sealer(self._wrapper.open(row.wrapped_key, _identity(row.pseudonym)))
            self._sealers[row.pseudonym] = found
            if len(self._sealers) > CACHED_KEYS:
                self._sealers.popitem(last=False)
        return found


def _identity(pseudonym: str) -> bytes:
    return b"subject-key:" + pseudonym.encode()


def entry_identity(log_year: int, index: int) -> bytes:
    """The associated data of an entry's sealed details."""
    return b"entry:%d:%d" % (log_year, index)


def answer_identity(client_id: str, key: str) -> bytes:
    """The associated data of a kept answer."""
    return f"answer:{client_id}:{key}".encode()
