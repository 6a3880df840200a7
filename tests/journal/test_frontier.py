"""Growing the tree in any batches gives the same roots, tiles and paths as the definition, and can be begun anew."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.journal import merkle
from node.journal.errors import TileRefused
from node.journal.frontier import TILE_BYTES, Batch, Frontier, from_leaves, rebuild
from node.journal.tiles import ENTRIES, Address, TileTree, addresses

LEAVES = [merkle.leaf_hash(b"entry-%d" % n) for n in range(65_537)]
READ = merkle.levels_reader(LEAVES)


def grow(size: int, cuts: list[int]) -> tuple[Frontier, dict[tuple[int, int], bytes]]:
    """Append the first `size` leaves in batches that end at `cuts`; every batch is checked against the definition."""
    frontier, tiles = Frontier(), {}
    for end in [*sorted(cut for cut in set(cuts) if 0 < cut < size), size]:
        start = frontier.size
        before = frontier
        batch: Batch = frontier.append(LEAVES[start:end])
        assert frontier == before, "appending must leave the old frontier alone"
        assert (batch.first, len(batch.paths)) == (start, end - start)
        for index in {start, (start + end) // 2, end - 1}:
            assert list(batch.paths[index - start]) == merkle.inclusion_path(index, end, READ)
        frontier = batch.after
        assert (frontier.size, frontier.root) == (end, merkle.tree_root(end, READ))
        assert frontier == frontier._replace(root=frontier.append([]).after.root)
        for tile in batch.tiles:
            assert (tile.level, tile.n) not in tiles and len(tile.data) == TILE_BYTES
            tiles[tile.level, tile.n] = tile.data
    return frontier, tiles


def again(size: int, tiles: dict[tuple[int, int], bytes]) -> Frontier:
    """The frontier begun anew from what a store keeps."""
    return rebuild(size, lambda level, n: tiles[level, n], lambda start, end: LEAVES[start:end])


def check_tiles(frontier: Frontier, tiles: dict[tuple[int, int], bytes]) -> None:
    """Full tiles and partial tiles hold exactly the nodes of the definition."""
    tree = TileTree(frontier, lambda level, n: tiles[level, n])
    for address in addresses(frontier.size):
        if address.level == ENTRIES:
            continue
        first = address.n * 256
        nodes = [READ(8 * address.level, first + i) for i in range(address.width)]
        assert tree.tile(address) == b"".join(nodes)
    full = {(a.level, a.n) for a in addresses(frontier.size) if a.level >= 0 and a.width == 256}
    assert set(tiles) == full


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1000), st.lists(st.integers(1, 999), max_size=20))
def test_any_batches_agree_with_the_definition(size: int, cuts: list[int]) -> None:
    frontier, tiles = grow(size, cuts)
    check_tiles(frontier, tiles)
    assert again(size, tiles) == frontier == from_leaves(LEAVES[:size])


@pytest.mark.parametrize("size", [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537])
def test_sizes_about_the_edges_of_tiles(size: int) -> None:
    rng = random.Random(size)
    for step in (1, 97) if size < 1000 else (700,):
        cuts = [0]
        while cuts[-1] < size:
            cuts.append(cuts[-1] + rng.randint(1, step))
        frontier, tiles = grow(size, cuts)
        check_tiles(frontier, tiles)
        assert again(size, tiles) == frontier


def test_every_path_of_a_batch() -> None:
    for start in (0, 1, 5, 255, 256, 300):
        frontier = from_leaves(LEAVES[:start])
        for count in (1, 2, 3, 64, 129):
            batch = frontier.append(LEAVES[start : start + count])
            size = start + count
            expected = [tuple(merkle.inclusion_path(index, size, READ)) for index in range(start, size)]
            assert batch.paths == expected
            assert frontier.append(LEAVES[start:size], paths=False) == batch._replace(paths=[])


def test_an_unused_candidate_changes_nothing() -> None:
    frontier = from_leaves(LEAVES[:300])
    lost = frontier.append(LEAVES[500:700])
    kept = frontier.append(LEAVES[300:400])
    assert lost.after.root != kept.after.root
    assert kept.after == from_leaves(LEAVES[:400])


def test_nothing() -> None:
    assert Frontier().root == merkle.EMPTY_ROOT == from_leaves([]).root
    assert Frontier().append([]) == Batch(Frontier(), 0, [], [])
    assert rebuild(0, lambda level, n: b"", lambda start, end: []) == Frontier()


def test_proofs_from_tiles_at_every_size() -> None:
    frontier, tiles = grow(65_537, [700, 66_000])
    reads: list[tuple[int, int]] = []

    def read(level: int, n: int) -> bytes:
        reads.append((level, n))
        return tiles[level, n]

    rng = random.Random(1)
    for _ in range(100):
        size = rng.randint(1, frontier.size)
        index = rng.randrange(size)
        tree = TileTree(frontier, read)
        reads.clear()
        assert merkle.inclusion_path(index, size, tree.node) == merkle.inclusion_path(index, size, READ)
        assert len(reads) <= 6, "a proof reads few tiles"
        old = rng.randint(1, size)
        assert merkle.consistency_path(old, size, tree.node) == merkle.consistency_path(old, size, READ)


def test_a_tree_serves_no_further_than_it_reaches() -> None:
    frontier, tiles = grow(600, [])
    tree = TileTree(frontier, lambda level, n: tiles[level, n])
    assert len(tree.tile(Address(0, 2, 88))) == 88 * 32
    assert tree.tile(Address(0, 2, 10)) == tree.tile(Address(0, 2, 88))[:320]
    assert tree.tile(Address(0, 1, 3)) == tiles[0, 1][:96]
    for beyond in (
        Address(0, 2, 89),
        Address(0, 2),
        Address(0, 3, 1),
        Address(1, 0, 3),
        Address(2, 0, 1),
        Address(1, 1, 1),
    ):
        with pytest.raises(TileRefused):
            tree.tile(beyond)
    with pytest.raises(TileRefused):
        tree.node(9, 1)
    with pytest.raises(TileRefused):
        TileTree(frontier, lambda level, n: b"short").tile(Address(0, 0))


def test_a_broken_store_is_noticed_when_beginning_anew() -> None:
    _, tiles = grow(600, [])
    with pytest.raises(TileRefused):
        rebuild(600, lambda level, n: tiles[level, n][:-32], lambda start, end: LEAVES[start:end])
    with pytest.raises(TileRefused):
        rebuild(600, lambda level, n: tiles[level, n], lambda start, end: LEAVES[start : end - 1])
    with pytest.raises(TileRefused):
        rebuild(600, lambda level, n: tiles[level, n], lambda start, end: [b"short"] * (end - start))
