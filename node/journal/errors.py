"""Why a proof, a note, a leaf or an evidence file is not believed.

    Unproven
    ├── ProofRefused     a Merkle proof does not lead to the root
    ├── TileRefused      a tile, an entry bundle or a tile path is malformed, absent or wrong
    ├── NoteRefused      a signed note or a key line is malformed, or nobody known signed it
    ├── LeafRefused      a leaf is not one of ours, or its opening does not match
    └── BundleRefused    an evidence file is not byte for byte what we would have written

None of them is a refusal of the law (`consent.errors`): they speak of evidence, not of permission.
"""


class Unproven(ValueError):
    """Something offered as evidence does not hold; the message says what, for a person."""


class ProofRefused(Unproven):
    """An inclusion or consistency proof does not lead to the given root."""


class TileRefused(Unproven):
    """A tile, an entry bundle or a path of one is malformed, absent or wrong."""


class NoteRefused(Unproven):
    """A signed note, checkpoint or key is malformed, or carries no signature of a known key."""


class LeafRefused(Unproven):
    """Bytes are not a canonical leaf of a known kind, or an opening does not match its commitment."""


class BundleRefused(Unproven):
    """An evidence file differs from the one canonical file of its members."""
