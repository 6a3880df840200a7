"""A batch of acts, decided: which guards hold, what is written. Pure but for fresh salts and pseudonyms.

Acts are judged in the order they were queued, each on the state the earlier ones leave behind, so a revocation and a release
in one batch have an order like everywhere else.
"""

from __future__ import annotations

import secrets
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
    Insert,
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
    grants: set[str] = set()
    tokens: set[str] = set()
    keys: set[tuple[str, str]] = set()
    subjects: set[str] = set()
    for act in acts:
        for guard in act.guards:
            if type(guard) is GrantLive:
                grants.add(guard.grant_id)
            elif type(guard) is TokenLive:
                tokens.add(guard.token_hash)
            elif type(guard) is KeyNew:
                keys.add((guard.client_id, guard.key))
        for effect in act.effects:
            if type(effect) is EndGrant:
                grants.add(effect.grant_id)
        for evidence in act.evidence:
            if evidence.enterprise is not None:
                subjects.add(evidence.enterprise)
        if act.on_refusal is not None and act.on_refusal.enterprise is not None:
            subjects.add(act.on_refusal.enterprise)
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
    if row.status == "revoked":
        return f"consent.{GrantState.REVOKED}"
    if now_ms >= row.not_after_ms:
        return f"consent.{GrantState.EXPIRED}"
    if now_ms < row.not_before_ms:
        return f"consent.{GrantState.NOT_YET}"
    if row.version != guard.version:
        return "consent.changed"
    if guard.quota and row.used >= row.max_queries:
        return f"consent.{GrantState.CONSUMED}"
    return ""


def advance(act: Act, found: Found, writes: Writes) -> None:
    """Take an admitted act's guards and effects into the state and the writes (rows to insert are done by the caller)."""
    for guard in act.guards:
        if type(guard) is KeyNew:
            found.keys.add((guard.client_id, guard.key))
            writes.keys.append((guard.client_id, guard.key, guard.fingerprint, guard.query_id, guard.expires_ms))
    for effect in act.effects:
        match effect:
            case UseGrant(grant_id):
                writes.used[grant_id] = writes.used.get(grant_id, 0) + 1
                if grant_id in found.grants:
                    found.grants[grant_id].used += 1
            case EndGrant(grant_id, version, by, why):
                writes.ended_grants.append((grant_id, version, by, why))
                writes.ended_tokens.append(grant_id)
                if grant_id in found.grants:
                    found.grants[grant_id].status = "revoked"
                    found.grants[grant_id].version = version
                _end_tokens(found, grant_id, writes.ts)
            case EndTokens(grant_id):
                writes.ended_tokens.append(grant_id)
                _end_tokens(found, grant_id, writes.ts)
            case KeepAnswer(client_id, key, sealed):
                writes.answers.append((client_id, key, sealed))
            case SetBank(client_id, status):
                writes.statuses.append((client_id, status))
            case CountPasskey(credential_id, sign_count):
                writes.counted.append((credential_id, sign_count))
            case Insert():
                pass


def _end_tokens(found: Found, grant_id: str, now_ms: int) -> None:
    for token in found.tokens.values():
        if token.grant_id == grant_id and not token.ended_ms:
            token.ended_ms = now_ms


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
        """Fill `writes` from the plan. Returns the candidate frontier, to be adopted after COMMIT, and each act's receipts."""
        openings: list[Opening] = []
        for planned in plan:
            for evidence in planned.evidence:
                openings.append(self._entry(evidence, found, writes))
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
        salt, details = secrets.token_bytes(SALT_BYTES), _ENCODE(evidence.private)
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
            row = found.subjects[code] = self._keys.fresh(code)
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
