"""A small lawful log, written leaf by leaf, and the files a server would serve for it."""

from collections import Counter
from hashlib import sha256

from node.journal import leaf as leaves
from node.journal.checkpoint import sign_checkpoint
from node.journal.frontier import Frontier
from node.journal.leaf import AnyLeaf, Head, Member
from node.journal.merkle import leaf_hash
from node.journal.note import Signer
from node.journal.tiles import ENTRIES, Address, TileTree, addresses, encode_bundle

ORIGIN = "audit.example.gov.cn/xyd/log1"
SIGNER = Signer(ORIGIN, bytes(range(32)))
OTHER = Signer(ORIGIN, b"\x09" * 32)
BANK, BANK2 = "bank-a", "bank-b"
FIRM, FIRM2 = "ab" * 16, "cd" * 16
TAX = "tax.vat_invoice_summary:read:2024-11/2026-10:1fff"
TAX_LESS = "tax.vat_invoice_summary:read:2025-01/2026-10:ff"
TAX_MODEL = "tax.vat_invoice_summary:model:2025-01/2026-10:ff"
SOCIAL = "social_insurance.si_contributions:read:2024-11/2026-10:3f"
POWER = "utility.power_usage:read:2024-11/2026-10:1"
START = 1_795_000_000_000
SALT = b"\x05" * 32
DETAILS = b"{}"


class Story:
    """Writes leaves in order: time moves on by a second, counters grow by themselves; any member can be overridden."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._ts = START
        self._seq: Counter[str] = Counter()
        self.add("OPEN", node="node-1", catalogue="2026.11-r1", prev="")

    def add(self, kind: str, **members: Member) -> int:
        """Write a leaf; `ts`, `org`, `sub`, `seq` and `d` override the head. Gives its index."""
        self._ts += 1000
        sub = str(members.pop("sub", ""))
        if sub:
            self._seq[sub] += 1
        ts, seq = members.pop("ts", self._ts), members.pop("seq", self._seq[sub])
        org = str(members.pop("org", "node"))
        d = str(members.pop("d", leaves.commitment(SALT, DETAILS)))
        assert isinstance(ts, int) and isinstance(seq, int)
        self.entries.append(leaves.encode(kind, Head(ts, org, sub, seq, d), members))
        return len(self.entries) - 1

    def grant(self, name: str = "grt_1", **members: Member) -> int:
        return self.add("GRANT", **{**GRANT, "grant": name, **members})

    def token(self, **members: Member) -> int:
        return self.add(
            "TOKEN", **{"org": BANK, "sub": FIRM, "grant": "grt_1", "ver": 1, "exp": START + 10**7, **members}
        )

    def ask(self, name: str = "qry_1", **members: Member) -> int:
        return self.add("REQ", **{**TERMS, "req": name, "items": [TAX_LESS], "ground": "consent", **members})

    def release(self, name: str = "qry_1", **members: Member) -> int:
        return self.add("REL", **{**TERMS, "req": name, "items": [TAX_LESS], "n": 22, "retry_of": "", **members})

    def assess(self, name: str = "qry_1", **members: Member) -> int:
        return self.add("ASSESS", **{**TERMS, "req": name, "items": [TAX_MODEL], "card": "sme-1", **members})

    def abort(self, name: str = "qry_1", **members: Member) -> int:
        return self.add("ABORT", **{"org": BANK, "sub": FIRM, "req": name, "why": "reaped", **members})

    def deny(self, name: str = "qry_1", **members: Member) -> int:
        return self.add(
            "DENY", **{"org": BANK, "sub": FIRM, "req": name, "grant": "grt_1", "why": "consent.revoked", **members}
        )

    def revoke(self, **members: Member) -> int:
        return self.add(
            "REVOKE", **{"org": BANK, "sub": FIRM, "grant": "grt_1", "ver": 2, "by": "enterprise", "why": "", **members}
        )

    def leaves(self) -> list[AnyLeaf]:
        """The leaves, read back."""
        return [leaves.parse(entry) for entry in self.entries]


GRANT: dict[str, Member] = {
    "org": BANK,
    "sub": FIRM,
    "grant": "grt_1",
    "ver": 1,
    "purpose": "LOAN_APPLICATION",
    "tpl": "0" * 64,
    "items": [SOCIAL, TAX],
    "nb": START,
    "na": START + 10**9,
    "max": 1000,
    "doc": "1" * 64,
    "asr": "L3",
}
TERMS: dict[str, Member] = {"org": BANK, "sub": FIRM, "grant": "grt_1", "ver": 1, "purpose": "LOAN_APPLICATION"}


def lawful_story(size: int = 600) -> Story:
    """A log of `size` leaves in which every kind stands and every law is kept."""
    story = Story()
    story.add("BANK", org=BANK, act="enrolled")
    story.add("PASSKEY", sub=FIRM, act="added")
    story.add("REJECT", org=BANK2, sub=FIRM2, purpose="POST_LOAN", why="")
    story.grant()
    story.token()
    story.ask("qry_s", items=[TAX_MODEL])
    story.assess("qry_s")
    story.deny("qry_d", grant="")
    story.ask("qry_a")
    story.abort("qry_a")
    story.add("STOP", org=BANK, sub=FIRM, grant="grt_1", why="lost_key")
    first = story.ask("qry_r")
    first = story.release("qry_r")
    story.release("qry_r", retry_of=str(first))
    while len(story.entries) < size - 2:
        story.ask(f"qry_{len(story.entries)}")
        story.release(f"qry_{len(story.entries) - 1}")
    if len(story.entries) < size - 1:
        story.ask("qry_last")
    story.revoke()
    return story


def tree_of(entries: list[bytes]) -> tuple[Frontier, dict[tuple[int, int], bytes]]:
    """The frontier and the full tiles of a log."""
    batch = Frontier().append([leaf_hash(entry) for entry in entries])
    return batch.after, {(tile.level, tile.n): tile.data for tile in batch.tiles}


def serve(entries: list[bytes], signer: Signer = SIGNER) -> dict[str, bytes]:
    """Path to bytes: checkpoint, entry bundles and tiles as tlog-tiles lays them out."""
    frontier, full = tree_of(entries)
    tree = TileTree(frontier, lambda level, n: full[level, n])
    files = {"checkpoint": sign_checkpoint(signer, frontier.size, frontier.root).encode()}
    for address in addresses(frontier.size):
        files[address.path] = _content(address, entries, tree)
    return files


def _content(address: Address, entries: list[bytes], tree: TileTree) -> bytes:
    if address.level == ENTRIES:
        return encode_bundle(entries[address.n * 256 : address.n * 256 + address.width])
    return tree.tile(address)


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(data).hexdigest()
