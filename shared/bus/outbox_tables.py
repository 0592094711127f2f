"""What operators do about an outbox, and what a restored service finds of its forgotten past.

Here and not in `shared.bus.tables` only because that file would grow too long.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.db.steps import Migration

_ACTS = (
    """
    CREATE TABLE outbox_void (
        topic text NOT NULL, partition integer NOT NULL, sequence bigint NOT NULL, fact_id text, fact_type text,
        reason text NOT NULL, voided_by text NOT NULL, asked_at timestamptz NOT NULL, done_at timestamptz,
        PRIMARY KEY (topic, partition, sequence)
    )
    """,
    """
    CREATE TABLE forgotten_fact (
        topic text NOT NULL, partition integer NOT NULL, log_offset bigint NOT NULL, epoch bigint NOT NULL,
        sequence bigint NOT NULL, fact_id text NOT NULL, fact_type text NOT NULL, key text, time text,
        cause_id text, body jsonb, collected_at timestamptz NOT NULL, reviewed_at timestamptz, reviewed_by text,
        review text,
        PRIMARY KEY (topic, partition, log_offset)
    )
    """,
)


def add_outbox_acts(op: Migration) -> None:
    """Create where given-up numbers are recorded (P8) and forgotten facts wait for review (E7)."""
    for statement in _ACTS:
        op.execute(text(statement))


_KEEPING = (
    """
    CREATE TABLE outbox_kept (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL,
        count integer NOT NULL, body bytea NOT NULL, kept_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, first, kept_at)
    ) PARTITION BY RANGE (kept_at)
    """,
    "ALTER TABLE outbox_kept ALTER COLUMN body SET STORAGE EXTERNAL",
    """
    CREATE TABLE outbox_republish (
        id uuid NOT NULL PRIMARY KEY, topic text NOT NULL, partition integer NOT NULL, first bigint NOT NULL,
        last bigint NOT NULL, reason text NOT NULL, asked_by text NOT NULL, asked_at timestamptz NOT NULL,
        done_at timestamptz
    )
    """,
)


def add_outbox_keeping(op: Migration) -> None:
    """Create where published segments are kept for a time, and who had them published again (P9)."""
    for statement in _KEEPING:
        op.execute(text(statement))


def add_outbox_tables(metadata: MetaData) -> None:
    """Describe the tables that the steps above create."""
    instant = DateTime(timezone=True)
    Table(
        "outbox_void",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("fact_id", Text),
        Column("fact_type", Text),
        Column("reason", Text, nullable=False),
        Column("voided_by", Text, nullable=False),
        Column("asked_at", instant, nullable=False),
        Column("done_at", instant),
        PrimaryKeyConstraint("topic", "partition", "sequence"),
    )
    Table(
        "forgotten_fact",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("fact_id", Text, nullable=False),
        Column("fact_type", Text, nullable=False),
        Column("key", Text),
        Column("time", Text),
        Column("cause_id", Text),
        Column("body", JSONB),
        Column("collected_at", instant, nullable=False),
        Column("reviewed_at", instant),
        Column("reviewed_by", Text),
        Column("review", Text),
        PrimaryKeyConstraint("topic", "partition", "log_offset"),
    )
    Table(
        "outbox_kept",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("count", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("kept_at", instant, nullable=False),
        Column("base_epoch", BigInteger, nullable=False),
        Column("base", BigInteger, nullable=False),
        PrimaryKeyConstraint("topic", "partition", "first", "kept_at"),
        postgresql_partition_by="RANGE (kept_at)",
    )
    Table(
        "outbox_republish",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("asked_by", Text, nullable=False),
        Column("asked_at", instant, nullable=False),
        Column("done_at", instant),
    )
