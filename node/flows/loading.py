"""Loading for decisions: tokens, grants and banks by id, remembered for a while.

A remembered value can make us refuse or fetch in vain, never allow: what matters is checked again under the journal's
lock when the act is appended. Only a bank's suspension relies on the second it is remembered for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sqlmodel import select

from consent.catalogue import Catalogue
from consent.grant import Grant, Terms, terms
from consent.oauth.bank import Bank, BankView, view
from consent.oauth.token import AccessToken, TokenView, token_view
from node.database import Reader
from node.journal.tables import KeptAnswer
from node.lookups import Batched, Rows

Value = TypeVar("Value")
TOKEN_S = 60.0
GRANT_S = 60.0
BANK_S = 1.0
MOST = 50_000
"""Values remembered per kind; about 1 KB each."""


class Remembered(Generic[Value]):
    """A bounded memory with an age limit. A missing value (None) is not remembered, so a new one is seen at once."""

    def __init__(self, load: Callable[[str], Awaitable[Value | None]], age_s: float) -> None:
        self._load, self._age = load, age_s
        self._kept: dict[str, tuple[Value, float]] = {}

    async def get(self, key: str) -> Value | None:
        """The value, from memory while it is young enough."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept is not None and kept[1] > now:
            return kept[0]
        value = await self._load(key)
        if value is None:
            self._kept.pop(key, None)
            return None
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[key] = (value, now + self._age)
        return value

    def forget(self, key: str) -> None:
        """Load it anew next time."""
        self._kept.pop(key, None)


class Loader:
    """Tokens by hash, grants by id, banks by client_id; `fresh_*` skip the memory."""

    def __init__(self, reader: Reader, rows: Rows, catalogue: Catalogue) -> None:
        self._reader, self._rows, self._catalogue = reader, rows, catalogue
        self._tokens = Batched(rows, AccessToken, "hash")
        self._grants = Batched(rows, Grant, "id")
        self._banks = Batched(rows, Bank, "client_id")
        self.token = Remembered(self.fresh_token, TOKEN_S)
        self.grant = Remembered(self.fresh_grant, GRANT_S)
        self.bank = Remembered(self.fresh_bank, BANK_S)

    async def close(self) -> None:
        """Disconnect."""
        await self._rows.close()

    async def fresh_token(self, digest: str) -> TokenView | None:
        """A token by its SHA-256 hex."""
        row = await self._tokens.get(digest)
        return None if row is None else token_view(row)

    async def fresh_grant(self, grant_id: str) -> Terms | None:
        """A grant's terms."""
        row = await self._grants.get(grant_id)
        return None if row is None else terms(row, self._catalogue)

    async def key_known(self, client_id: str, key: str) -> bool:
        """Whether a bank has used an Idempotency-Key."""
        statement = select(KeptAnswer.key).where(KeptAnswer.client_id == client_id, KeptAnswer.key == key)
        return await self._reader.first(statement) is not None

    async def fresh_bank(self, client_id: str) -> BankView | None:
        """A bank as registered."""
        row = await self._banks.get(client_id)
        return None if row is None else view(row)
