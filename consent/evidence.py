"""Evidence: frozen facts that an act leaves behind. The journal turns each into one entry.

A closed set of kinds; tags are never reused, members only appended. `public` members stand in the leaf and hold
ids, codes and months only; `private` details lie beside the tree, encrypted under the subject's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consent.enterprise import CreditCode

Leafable = str | int | tuple[str, ...]


class Kind(StrEnum):
    """What happened."""

    OPEN = "OPEN"
    BANK = "BANK"
    PASSKEY = "PASSKEY"
    GRANT = "GRANT"
    REJECT = "REJECT"
    TOKEN = "TOKEN"
    STOP = "STOP"
    REVOKE = "REVOKE"
    REQ = "REQ"
    REL = "REL"
    ASSESS = "ASSESS"
    DENY = "DENY"
    ABORT = "ABORT"


MEMBERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.OPEN: ("node", "catalogue", "prev"),
    Kind.BANK: ("act",),
    Kind.PASSKEY: ("act",),
    Kind.GRANT: ("grant", "ver", "purpose", "tpl", "items", "nb", "na", "max", "doc", "asr"),
    Kind.REJECT: ("purpose", "why"),
    Kind.TOKEN: ("grant", "ver", "exp"),
    Kind.STOP: ("grant", "why"),
    Kind.REVOKE: ("grant", "ver", "by", "why"),
    Kind.REQ: ("req", "grant", "ver", "purpose", "items", "ground"),
    Kind.REL: ("req", "grant", "ver", "purpose", "items", "n", "retry_of"),
    Kind.ASSESS: ("req", "grant", "ver", "purpose", "items", "card"),
    Kind.DENY: ("req", "grant", "why"),
    Kind.ABORT: ("req", "why"),
}
"""The public members of each kind, beside the ones every leaf has."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact: its kind, who acted (`org`: a client_id or "node"), whom it concerns, what is said, what is sealed."""

    kind: Kind
    org: str
    enterprise: CreditCode | None
    public: Mapping[str, Leafable]
    private: Mapping[str, object] = field(default_factory=dict)
