"""What readers keep beside their positions: odd histories, and the acts of operators.

Here and not in `shared.bus.tables` only because that file would grow too long.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from shared.db.steps import Migration

_HISTORIES = (
    """
    ALTER TABLE inbox_position ADD adopt boolean NOT NULL DEFAULT false, ADD next_epoch bigint,
        ADD next_sequence bigint, ADD stopped_at timestamptz
    """,
    """
    CREATE TABLE inbox_fork (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, base_epoch bigint NOT NULL,
        base bigint NOT NULL, had_epoch bigint NOT NULL, had bigint NOT NULL, at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, epoch)
    )
    """,
    """
    CREATE TABLE inbox_stale (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL,
        last bigint NOT NULL, count bigint NOT NULL, first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, epoch)
    )
    """,
    """
    CREATE TABLE inbox_act (
        id uuid NOT NULL PRIMARY KEY, topic text NOT NULL, partition integer NOT NULL, act text NOT NULL,
        acted_by text NOT NULL, reason text NOT NULL, found text NOT NULL, old_epoch bigint NOT NULL,
        old_sequence bigint NOT NULL, new_epoch bigint NOT NULL, new_sequence bigint NOT NULL, at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX inbox_act_newest ON inbox_act (at, id)",
)


def add_inbox_histories(op: Migration) -> None:
    """Create where readers note forks and stale facts, and operators their acts on positions (E5)."""
    for statement in _HISTORIES:
        op.execute(text(statement))


_SCANS = (
    "ALTER TABLE inbox_position ADD scan_end bigint",
    """
    CREATE TABLE inbox_seen (
        topic text NOT NULL, partition integer NOT NULL, key text NOT NULL, PRIMARY KEY (topic, partition, key)
    )
    """,
)


def add_inbox_scans(op: Migration) -> None:
    """Create where a scan of a compacted topic marks whom it has seen (C4)."""
    for statement in _SCANS:
        op.execute(text(statement))


def add_inbox_tables(metadata: MetaData) -> None:
    """Describe what readers note of histories, and what operators did about positions."""
    instant = DateTime(timezone=True)
    Table(
        "inbox_fork",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("base_epoch", BigInteger, nullable=False),
        Column("base", BigInteger, nullable=False),
        Column("had_epoch", BigInteger, nullable=False),
        Column("had", BigInteger, nullable=False),
        Column("at", instant, nullable=False),
        PrimaryKeyConstraint("topic", "partition", "epoch"),
    )
    Table(
        "inbox_stale",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("count", BigInteger, nullable=False),
        Column("first_at", instant, nullable=False),
        Column("last_at", instant, nullable=False),
        PrimaryKeyConstraint("topic", "partition", "epoch"),
    )
    Table(
        "inbox_seen",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("key", Text, nullable=False),
        PrimaryKeyConstraint("topic", "partition", "key"),
    )
    act = Table(
        "inbox_act",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("act", Text, nullable=False),
        Column("acted_by", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("found", Text, nullable=False),
        Column("old_epoch", BigInteger, nullable=False),
        Column("old_sequence", BigInteger, nullable=False),
        Column("new_epoch", BigInteger, nullable=False),
        Column("new_sequence", BigInteger, nullable=False),
        Column("at", instant, nullable=False),
    )
    Index("inbox_act_newest", act.c.at, act.c.id)
