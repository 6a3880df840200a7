"""The regulator's check of a log: from files, an evidence bundle or a server, believing nothing but a key.

Steps: 1 `checkpoint` the log's signature over origin, size and root; 2 `entries` every entry bundle is there with as
many entries as the size says; 3 `root` the leaf hashes lead to the signed root; 4 `tiles` every hash tile equals the
recomputed one; 5 `leaves` every entry is a canonical leaf; 6 `laws` the rules of the house hold (`laws.py`). Needs no
database and no node.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from node.journal import laws
from node.journal.checkpoint import Checkpoint, open_checkpoint
from node.journal.errors import LeafRefused, NoteRefused, TileRefused
from node.journal.frontier import Frontier, split_hashes
from node.journal.leaf import AnyLeaf, parse
from node.journal.merkle import HASH_BYTES, leaf_hash
from node.journal.note import Verifier
from node.journal.report import Report
from node.journal.tiles import ENTRIES, Address, addresses, decode_bundle

Reader = Callable[[str], bytes | None]
"""`read(path)` gives the bytes at a path below the log's prefix (`checkpoint`, `tile/0/000`), None when there are
none.
"""

_SHOWN = 3


class Trust(NamedTuple):
    """The log's key, and where it came from: `pinned` by the caller, found beside the evidence (`bundle`), or stated by
    the node that is being checked (`node`).
    """

    vkey: str
    source: Literal["pinned", "bundle", "node"]


_KEYS = {
    "pinned": ("调用方指定的公钥", "the key you pinned"),
    "bundle": ("证据包自带的公钥（未经独立核实）", "the key in the bundle itself (not confirmed from elsewhere)"),
    "node": ("节点自述的公钥（未经独立核实）", "the key the node states of itself (not confirmed from elsewhere)"),
}


def directory_reader(root: Path) -> Reader:
    """Reads a log mirrored to a directory."""

    def read(path: str) -> bytes | None:
        file = root / path
        return file.read_bytes() if file.is_file() else None

    return read


def verify_log(read: Reader, trust: Trust, *, entries: bool = True, report: Report | None = None) -> Report:
    """Make every step, after those already in `report`.

    With `entries=False` (no right to the entries) the tree is checked from its level-0 tiles alone, and the leaves
    and laws are reported as not checked.
    """
    report = Report() if report is None else report
    check_checkpoint(report, read("checkpoint"), trust)
    if report.checkpoint is None:
        report.skip("entries", "root", "tiles", "leaves", "laws")
        return report
    walk = _Walk(read, report.checkpoint.size, ENTRIES if entries else 0)
    report.laws = laws.check(walk.leaves())
    _report_tree(report, report.checkpoint, walk)
    if entries:
        _report_leaves(report, walk)
    else:
        report.laws = None
        for identity in ("leaves", "laws"):
            report.note(identity, None, zh="未检查：没有读取条目的权限", en="not checked: no right to read the entries")
    return report


def check_checkpoint(report: Report, note: bytes | str | None, trust: Trust) -> None:
    """The step `checkpoint`; sets `report.checkpoint` when it passes."""
    try:
        if note is None:
            raise NoteRefused("there is no checkpoint")
        head, _ = open_checkpoint(note, Verifier(trust.vkey))
    except NoteRefused as refused:
        report.note(
            "checkpoint", False, zh=f"检查点签名不成立：{refused}", en=f"the checkpoint does not hold: {refused}"
        )
        return
    key_zh, key_en = _KEYS[trust.source]
    report.checkpoint, report.pinned = head, trust.source == "pinned"
    report.note(
        "checkpoint",
        True,
        zh=f"检查点由 {head.origin} 签名，共 {head.size} 条；验证所用：{key_zh}",
        en=f"the checkpoint over {head.size} entries is signed by {head.origin}; checked against {key_en}",
    )


class _Walk:
    """One pass over a log: reads the bundles (or level-0 tiles), grows the tree, compares tiles, parses leaves."""

    def __init__(self, read: Reader, size: int, level: int) -> None:
        self._read, self._size, self._level = read, size, level
        self.reads_entries = level == ENTRIES
        self.frontier = Frontier()
        self.gap = ""
        self.tiles = 0
        self.wrong_tiles: list[str] = []
        self.bad_leaves: list[tuple[int, str]] = []

    def leaves(self) -> Iterator[AnyLeaf]:
        """Yields the leaves that parse; stops at the first missing or malformed bundle, which `gap` then names."""
        for address in addresses(self._size):
            if address.level != self._level:
                continue
            try:
                entries = self._entries(address)
            except TileRefused as refused:
                self.gap = f"{address.path}: {refused}"
                return
            yield from self._parsed(address, entries)
        for level, data in enumerate(self.frontier.parts):
            if data:
                width = len(data) // HASH_BYTES
                self._compare(Address(level, self._size >> 8 * (level + 1), width), data)

    def _entries(self, address: Address) -> list[bytes]:
        """The entries of a bundle (none of them for a hash tile), their hashes appended to the tree."""
        data = self._read(address.path)
        if data is None:
            raise TileRefused("absent")
        if self._level == ENTRIES:
            entries = decode_bundle(data)
            hashes = list(map(leaf_hash, entries))
        else:
            entries, hashes = [], split_hashes(data)
        if len(hashes) != address.width or len(hashes[-1]) != HASH_BYTES:
            raise TileRefused(f"{len(hashes)} entries instead of {address.width}")
        batch = self.frontier.append(hashes, paths=False)
        self.frontier = batch.after
        for tile in batch.tiles:
            self._compare(Address(tile.level, tile.n), tile.data)
        return entries

    def _compare(self, address: Address, expected: bytes) -> None:
        self.tiles += 1
        if self._read(address.path) != expected:
            self.wrong_tiles.append(address.path)

    def _parsed(self, address: Address, entries: list[bytes]) -> Iterator[AnyLeaf]:
        for index, entry in enumerate(entries, address.n * 256):
            try:
                yield parse(entry)
            except LeafRefused as refused:
                self.bad_leaves.append((index, str(refused)))


def _report_tree(report: Report, head: Checkpoint, walk: _Walk) -> None:
    if walk.gap:
        report.note("entries", False, zh=f"条目不完整：{walk.gap}", en=f"entries are missing or malformed: {walk.gap}")
        report.skip("root", "tiles")
        return
    if walk.reads_entries:
        report.note("entries", True, zh=f"{head.size} 条齐全", en=f"all {head.size} entries are there")
    else:
        report.note(
            "entries",
            None,
            zh=f"条目未读取；{head.size} 个叶子哈希齐全",
            en=f"entries not read; all {head.size} leaf hashes are there",
        )
    same = walk.frontier.root == head.root
    report.note(
        "root",
        same,
        zh="由条目重新计算的根与签名一致" if same else "由条目重新计算的根与签名不一致：内容已被改动",
        en="the recomputed root is the signed one" if same else "the recomputed root is not the signed one: changed",
    )
    wrong = walk.wrong_tiles
    shown = ", ".join(wrong[:_SHOWN])
    report.note(
        "tiles",
        not wrong,
        zh=f"{walk.tiles} 个哈希块全部一致" if not wrong else f"{len(wrong)} 个哈希块不一致：{shown}",
        en=f"all {walk.tiles} hash tiles agree" if not wrong else f"{len(wrong)} hash tiles differ: {shown}",
    )


def _report_leaves(report: Report, walk: _Walk) -> None:
    if walk.gap:
        report.laws = None
        report.skip("leaves", "laws")
        return
    if walk.bad_leaves:
        index, why = walk.bad_leaves[0]
        count = len(walk.bad_leaves)
        report.note(
            "leaves", False, zh=f"{count} 条不合规，首个为 {index}：{why}", en=f"{count} malformed, #{index}: {why}"
        )
        report.laws = None
        report.skip("laws")
        return
    report.note("leaves", True, zh="每一条都是规范条目", en="every entry is a canonical leaf")
    if report.laws is None:
        return
    broken, still = report.laws.violations, len(report.laws.open)
    if broken:
        first = broken[0]
        zh = f"{len(broken)} 处违规，首处为 #{first.index} {first.rule}：{first.zh}"
        en = f"{len(broken)} violations, the first at #{first.index} {first.rule}: {first.en}"
    else:
        zh, en = f"规则全部成立；尚未结束的请求 {still} 个", f"every rule holds; {still} requests still open"
    report.note("laws", not broken, zh=zh, en=en)
    carried = len(report.laws.carried)
    if carried:
        zh = f"{carried} 条依据上一年度日志中的授权或请求，未在此核验"
        en = f"{carried} entries rest on grants or requests in the log of the year before: not checked here"
        report.note("carried", None, zh=zh, en=en)
