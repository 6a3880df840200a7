"""A batch of acts, decided: which guards hold, what is written. Pure but for fresh salts and pseudonyms.

Acts are judged in the order they were queued, each on the state the earlier ones leave behind, so a revocation and a
release in one batch have an order like everywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from consent.evidence import Evidence
from consent.grant import GrantState
from node.journal import leaf
from node.journal.act import (
    Act,
    CountPasskey,
    EndGrant,
    EndTokens,
    GrantLive,
    Guard,
    KeepAnswer,
    KeyNew,
    Receipt,
    SetBank,
    TokenLive,
    UseGrant,
)
from node.journal.checkpoint import sign_checkpoint
from node.journal.frontier import Frontier
from node.journal.ledger import EntryRow, Found, GrantRow, HeadRow, SubjectRow, Wanted, Writes
from node.journal.note import Signer
from node.journal.subjects import SubjectKeys, entry_identity

SALT_BYTES = 32
_ENCODE = msgspec.json.Encoder(order="sorted").encode


class Planned(NamedTuple):
    """An act after its guards were judged: its number in the batch, the evidence to write, why it was refused or ''."""

    number: int
    evidence: tuple[Evidence, ...]
    refused: str


class Opening(NamedTuple):
    """What opens one entry's commitment."""

    salt: bytes
    details: bytes


def wanted(acts: Sequence[Act], log_year: int) -> Wanted:
    """What must be looked up to judge a batch."""
    guards = [guard for act in acts for guard in act.guards]
    grants = {g.grant_id for g in guards if type(g) is GrantLive}
    grants |= {e.grant_id for act in acts for e in act.effects if type(e) is EndGrant}
    tokens = {g.token_hash for g in guards if type(g) is TokenLive}
    keys = {(g.client_id, g.key) for g in guards if type(g) is KeyNew}
    told = [each for act in acts for each in (*act.evidence, act.on_refusal)]
    subjects = {str(each.enterprise) for each in told if each is not None and each.enterprise is not None}
    return Wanted(log_year, list(grants), list(tokens), list(subjects), list(keys))


def judge(guards: Sequence[Guard], found: Found, now_ms: int) -> str:
    """'' when every guard holds on the state so far, else the first reason."""
    for guard in guards:
        if type(guard) is GrantLive:
            reason = _judge_grant(guard, found.grants.get(guard.grant_id), now_ms)
            if reason:
                return reason
        elif type(guard) is TokenLive:
            token = found.tokens.get(guard.token_hash)
            if token is None or token.ended_ms or now_ms >= token.expires_ms:
                return "token.ended"
        elif type(guard) is KeyNew and (guard.client_id, guard.key) in found.keys:
            return "key.used"
    return ""


def _judge_grant(guard: GrantLive, row: GrantRow | None, now_ms: int) -> str:
    if row is None:
        return "consent.unknown"
    ends = (
        (row.status == "revoked", GrantState.REVOKED),
        (now_ms >= row.not_after_ms, GrantState.EXPIRED),
        (now_ms < row.not_before_ms, GrantState.NOT_YET),
        (row.version != guard.version, "changed"),
        (guard.quota and row.used >= row.max_queries, GrantState.CONSUMED),
    )
    return next((f"consent.{why}" for holds, why in ends if holds), "")


def advance(act: Act, found: Found, writes: Writes) -> None:
    """Take an admitted act's guards and effects into the state and the writes; the caller inserts rows."""
    for guard in act.guards:
        if type(guard) is KeyNew:
            found.keys.add((guard.client_id, guard.key))
            writes.keys.append((guard.client_id, guard.key, guard.fingerprint, guard.query_id, guard.expires_ms))
    for effect in act.effects:
        if type(effect) is UseGrant:
            _use(effect.grant_id, found, writes)
        elif type(effect) is KeepAnswer:
            writes.answers.append((effect.client_id, effect.key, effect.sealed))
        elif type(effect) is EndGrant:
            _end_grant(effect, found, writes)
        elif type(effect) is EndTokens:
            _end_tokens(effect.grant_id, found, writes)
        elif type(effect) is SetBank:
            writes.statuses.append((effect.client_id, effect.status))
        elif type(effect) is CountPasskey:
            writes.counted.append((effect.credential_id, effect.sign_count))


def _use(grant_id: str, found: Found, writes: Writes) -> None:
    writes.used[grant_id] = writes.used.get(grant_id, 0) + 1
    if grant_id in found.grants:
        found.grants[grant_id].used += 1


def _end_grant(effect: EndGrant, found: Found, writes: Writes) -> None:
    writes.ended_grants.append((effect.grant_id, effect.version, effect.by, effect.why))
    if effect.grant_id in found.grants:
        found.grants[effect.grant_id].status = "revoked"
        found.grants[effect.grant_id].version = effect.version
    _end_tokens(effect.grant_id, found, writes)


def _end_tokens(grant_id: str, found: Found, writes: Writes) -> None:
    writes.ended_tokens.append(grant_id)
    for token in found.tokens.values():
        if token.grant_id == grant_id and not token.ended_ms:
            token.ended_ms = writes.ts


def revoked_twice(act: Act, found: Found) -> str:
    """The reason when an act ends a grant which is revoked already, changed meanwhile, or was never there; else ''."""
    for effect in act.effects:
        if type(effect) is EndGrant:
            row = found.grants.get(effect.grant_id)
            if row is None or row.status == "revoked" or effect.version != row.version + 1:
                return "consent.state_conflict"
    return ""


class Composer:
    """Turns planned evidence into entries, tiles, a signed checkpoint and receipts-to-be."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    def compose(
        self, plan: Sequence[Planned], found: Found, writes: Writes, *, frontier: Frontier, signer: Signer
    ) -> tuple[Frontier, list[list[Receipt]]]:
        """Fill `writes` from the plan. Returns the candidate frontier, to be adopted after COMMIT, and each act's
        receipts.
        """
        openings = [self._entry(evidence, found, writes) for planned in plan for evidence in planned.evidence]
        batch = frontier.append([entry.leaf_hash for entry in writes.entries])
        writes.size, writes.root, writes.tiles = batch.after.size, batch.after.root, batch.tiles
        writes.note = sign_checkpoint(signer, writes.size, writes.root)
        origin, note, size = writes.head.origin, writes.note, writes.size
        flat = [
            Receipt(origin, e.idx, e.ts, size, e.leaf, path, note, opening.salt, opening.details)
            for e, path, opening in zip(writes.entries, batch.paths, openings, strict=True)
        ]
        return batch.after, _share_out(plan, flat)

    def _entry(self, evidence: Evidence, found: Found, writes: Writes) -> Opening:
        row = self._subject(evidence, found, writes)
        seq, pseudonym = (row.counter, row.pseudonym) if row is not None else (0, "")
        salt, details = os.urandom(SALT_BYTES), _ENCODE(evidence.private)
        members = {name: list(v) if type(v) is tuple else v for name, v in evidence.public.items()}
        head = leaf.Head(writes.ts, evidence.org, pseudonym, seq, leaf.commitment(salt, details))
        data = leaf.encode(evidence.kind.value, head, members)
        index = writes.head.size + len(writes.entries)
        sealed = self._keys.sealer(row).seal(details, entry_identity(writes.head.log_year, index))
        public = evidence.public
        writes.entries.append(
            EntryRow(
                index,
                writes.ts,
                evidence.kind.value,
                evidence.org,
                pseudonym,
                seq,
                str(public.get("grant", "")),
                str(public.get("req", "")),
                sha256(b"\x00" + data).digest(),
                data,
                salt,
                sealed,
            )
        )
        return Opening(salt, details)

    def _subject(self, evidence: Evidence, found: Found, writes: Writes) -> SubjectRow | None:
        """The enterprise's row with its counter moved on by one."""
        code = evidence.enterprise
        if code is None:
            return None
        row = found.subjects.get(code)
        if row is None:
            row = found.subjects[code] = self._keys.fresh()
        row.counter += 1
        writes.subjects[code] = row
        return row


def _share_out(plan: Sequence[Planned], flat: list[Receipt]) -> list[list[Receipt]]:
    shares, start = [], 0
    for planned in plan:
        end = start + len(planned.evidence)
        shares.append(flat[start:end])
        start = end
    return shares


def empty_writes(head: HeadRow, ts: int) -> Writes:
    """Writes with nothing in them yet."""
    return Writes(head, head.size, head.root, ts, "", [], [])
