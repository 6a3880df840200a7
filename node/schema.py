"""The schema: every table's module, and the migrations that bring a database to it.

One Alembic history for SQLite and PostgreSQL. A node refuses to serve on a database that is not at the newest revision.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlmodel import SQLModel

from consent.grant import Grant
from consent.oauth.bank import Bank
from consent.oauth.token import AccessToken
from consent.signatory import Enterprise, Mandate, Signatory
from consent.signing import Passkey
from node.database import make_engine
from node.journal.tables import Checkpoint, Entry, Head, KeptAnswer, Subject, Tile
from risk.filing import FiledAssessment

TABLES: tuple[type[SQLModel], ...] = (
    *(Grant, Enterprise, Signatory, Mandate, Passkey, Bank, AccessToken),
    *(Head, Entry, Tile, Checkpoint, Subject, KeptAnswer, FiledAssessment),
)
"""Every table of the node. Naming them here loads the modules that declare them."""


class NotMigrated(Exception):
    """The database is at another revision than this program; the message says which command mends it."""


def metadata() -> MetaData:
    """The metadata with every table of the node in it."""
    return TABLES[0].metadata


def alembic_config() -> Config:
    """Alembic's configuration, made in code: no second file to keep in step."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(database: str) -> None:
    """Bring a database to the newest revision; one at a time (advisory lock on PostgreSQL)."""
    await _with_connection(database, _upgrade)


async def check(database: str) -> None:
    """Raise NotMigrated unless the database is at the newest revision."""
    await _with_connection(database, _demand_newest)


async def _with_connection(database: str, work: object) -> None:
    engine = make_engine(database)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(work)  # type: ignore[arg-type]
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _demand_newest(connection: Connection) -> None:
    present = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if present != newest:
        raise NotMigrated(
            f"the database is at {present or 'no revision'}, this program needs {newest}: run xyd migrate"
        )
