"""The first schema: consent, OAuth, the journal with its insert-only triggers, filed assessments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSERT_ONLY = {
    "journal_entry": ("log_year", "idx"),
    "journal_tile": ("log_year", "level", "n"),
    "journal_checkpoint": ("log_year", "size"),
}


def upgrade() -> None:
    """Forward only."""
    _consent()
    _oauth()
    _journal()
    _judgement()
    _insert_only()


def _consent() -> None:
    """Grants, and who may give them."""
    _grants()
    _people()


def _grants() -> None:
    """What enterprises allowed."""
    op.create_table(
        "consent_grant",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("enterprise", sa.String(length=18), nullable=False),
        sa.Column("signatory", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("template_sha256", sa.String(length=64), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("max_queries", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("assurance", sa.String(length=4), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(length=12), nullable=False),
        sa.Column("ended_why", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_consent_grant_client_id"), "consent_grant", ["client_id"], unique=False)
    op.create_index(op.f("ix_consent_grant_enterprise"), "consent_grant", ["enterprise"], unique=False)


def _people() -> None:
    """Enterprises, signatories, mandates, devices."""
    op.create_table(
        "enterprise",
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "mandate",
        sa.Column("signatory", sa.String(length=40), nullable=False),
        sa.Column("enterprise", sa.String(length=18), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signatory", "enterprise"),
    )
    op.create_table(
        "passkey",
        sa.Column("credential_id", sa.String(length=400), nullable=False),
        sa.Column("signatory", sa.String(length=40), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("aaguid", sa.String(length=40), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id"),
        sa.UniqueConstraint("signatory"),
    )
    op.create_table(
        "signatory",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("mobile", sa.String(length=20), nullable=False),
        sa.Column("name_masked", sa.String(length=40), nullable=False),
        sa.Column("passcode_hash", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mobile"),
    )


def _oauth() -> None:
    """Banks and their tokens."""
    op.create_table(
        "access_token",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("jkt", sa.String(length=43), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_access_token_grant_id"), "access_token", ["grant_id"], unique=False)
    op.create_table(
        "bank",
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("org_uscc", sa.String(length=18), nullable=False),
        sa.Column("licence_no", sa.String(length=80), nullable=False),
        sa.Column("contact", sa.String(length=200), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=False),
        sa.Column("alg", sa.String(length=16), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("purposes", sa.String(length=400), nullable=False),
        sa.Column("introspects", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id"),
    )


def _journal() -> None:
    """The log, its subjects, and kept answers."""
    _log()
    _beside_the_log()


def _log() -> None:
    """Head, entries, tiles, checkpoints."""
    op.create_table(
        "journal_checkpoint",
        sa.Column("log_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log_year", "size"),
    )
    op.create_table(
        "journal_entry",
        sa.Column("log_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("org", sa.String(length=80), nullable=False),
        sa.Column("sub", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("req", sa.String(length=40), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_year", "idx"),
    )
    op.create_index("ix_journal_entry_grant_id", "journal_entry", ["grant_id"], unique=False)
    op.create_index("ix_journal_entry_org_ts", "journal_entry", ["org", "ts"], unique=False)
    op.create_index("ix_journal_entry_req", "journal_entry", ["req"], unique=False)
    op.create_index("ix_journal_entry_sub_seq", "journal_entry", ["sub", "seq"], unique=False)
    op.create_index("ix_journal_entry_ts", "journal_entry", ["ts"], unique=False, postgresql_using="brin")
    op.create_table(
        "journal_head",
        sa.Column("log_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("last_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_year"),
    )
    op.create_table(
        "journal_tile",
        sa.Column("log_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_year", "level", "n"),
    )


def _beside_the_log() -> None:
    """Subjects and kept answers."""
    op.create_table(
        "journal_subject",
        sa.Column("log_year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_year", "code"),
        sa.UniqueConstraint("pseudonym"),
    )
    op.create_table(
        "kept_answer",
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("query_id", sa.String(length=40), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key"),
    )
    op.create_index(op.f("ix_kept_answer_expires_ms"), "kept_answer", ["expires_ms"], unique=False)


def _judgement() -> None:
    """Assessments as filed."""
    op.create_table(
        "assessment",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("query_id", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("card_digest", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_assessment_grant_id"), "assessment", ["grant_id"], unique=False)
    op.create_index(op.f("ix_assessment_query_id"), "assessment", ["query_id"], unique=False)


def _insert_only() -> None:
    """What was logged is never changed or removed, by anybody who is not the owner of the schema."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION xyd_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
        )
        for table in INSERT_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION xyd_insert_only()"
            )
        return
    for table, key in INSERT_ONLY.items():
        # REPLACE removes a row without asking the trigger on DELETE.
        there = " AND ".join(f"{column} = NEW.{column}" for column in key)
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - our own names
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {there}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
        )
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            )
