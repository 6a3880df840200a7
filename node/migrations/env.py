"""Alembic's environment: one connection handed in, one transaction, bounded waits, one migration at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from node.schema import metadata

ADVISORY_LOCK = 0x787964


def run(connection: Connection) -> None:
    """Run what was asked for on the connection."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SET statement_timeout = '120s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK:d})"))
    context.configure(connection=connection, target_metadata=metadata(), render_as_batch=False, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
