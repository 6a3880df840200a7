"""Outages of the node's own stores, by one name for all doors.

StoreUnavailable
└── journal.act.JournalUnavailable   the journal could not commit, is full or has halted
"""


class StoreUnavailable(Exception):
    """The database does not answer: nothing is known, so nothing is released. Worth another try."""
