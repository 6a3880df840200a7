"""A forged entry, as a dishonest operator would make it: the leaf is altered and all that the operator may sign anew
is.
"""

from __future__ import annotations

from consent.catalogue import load as load_catalogue
from node.app import Secrets, log_names
from node.journal.bundle import About, read_bundle, verify_bundle, write_bundle
from node.journal.report import Report
from node.journal.tiles import decode_bundle, encode_bundle
from node.settings import Settings


def verify_forged(settings: Settings, data: bytes, vkey: str) -> Report:
    """Hide which bank queried: every REL of the log now names another one. The bundle is made and signed afresh."""
    members = dict(read_bundle(data).members)
    for path, member in members.items():
        if path.startswith("tile/entries/"):
            entries = [_altered(entry) for entry in decode_bundle(member)]
            members[path] = encode_bundle(entries)
    catalogue = load_catalogue()
    names = log_names(settings, catalogue, Secrets.read(settings).journal_seed)
    origin = read_bundle(data).checkpoint.origin
    forged = write_bundle(members.get, names.signer(origin), About(settings.node_id, catalogue.version))
    return verify_bundle(forged, vkey)


def _altered(entry: bytes) -> bytes:
    if b'"kind":"REL"' not in entry:
        return entry
    return entry.replace(b'"org":"bank-jiangzhou"', b'"org":"bank-linhai"')
