"""The bus's own tables, the same in every service's database.

`outbox_*`: what the service has decided and what of it is known to be in Kafka. `inbox_position`: how far it has read
each stream. `dead_letter` and `deferred`: facts that failed, and facts that wait. `dead_letter_act`: what operators
did with a letter.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.bus.inbox_tables import add_inbox_tables
from shared.bus.outbox_tables import add_outbox_tables
from shared.db.steps import Migration

_DDL_V1 = (
    """
    CREATE TABLE outbox_stream (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, head bigint NOT NULL,
        base_epoch bigint NOT NULL, base bigint NOT NULL, timeline text NOT NULL,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 20)
    """,
    """
    CREATE TABLE outbox_published (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, sequence bigint NOT NULL,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 20)
    """,
    """
    CREATE TABLE outbox_segment (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL,
        count integer NOT NULL, body bytea NOT NULL, appended_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, epoch, first)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
    "ALTER TABLE outbox_segment ALTER COLUMN body SET STORAGE EXTERNAL",
    """
    CREATE TABLE outbox_lease (
        partition integer NOT NULL PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL
    ) WITH (fillfactor = 20)
    """,
    """
    CREATE TABLE inbox_position (
        topic text NOT NULL, partition integer NOT NULL, epoch bigint NOT NULL, sequence bigint NOT NULL,
        log_offset bigint NOT NULL, last_id text, seen jsonb NOT NULL, state text NOT NULL, reason text,
        at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 20)
    """,
    """
    CREATE TABLE dead_letter (
        id uuid NOT NULL PRIMARY KEY, topic text NOT NULL, partition integer NOT NULL, log_offset bigint NOT NULL,
        epoch bigint, sequence bigint, key text, headers jsonb NOT NULL, body bytea,
        code text NOT NULL, detail text NOT NULL, step text NOT NULL, attempts integer NOT NULL, traceparent text,
        failed_at timestamptz NOT NULL, state text NOT NULL, resolved_at timestamptz, resolved_by text,
        resolved_reason text
    )
    """,
    "CREATE INDEX dead_letter_open ON dead_letter (key) WHERE state = 'open'",
    """
    CREATE TABLE deferred (
        id uuid NOT NULL PRIMARY KEY, topic text NOT NULL, partition integer NOT NULL, log_offset bigint NOT NULL,
        key text, due timestamptz NOT NULL, headers jsonb NOT NULL, body bytea, attempts integer NOT NULL
    )
    """,
    "CREATE INDEX deferred_due ON deferred (due)",
)


def bus_tables_v1(op: Migration) -> None:
    """Create the bus's tables; the first step of every service's first migration."""
    for statement in _DDL_V1:
        op.execute(text(statement))


_DDL_V2 = ("CREATE TABLE bus_history (one boolean NOT NULL PRIMARY KEY CHECK (one), system_identifier text NOT NULL)",)


def bus_tables_v2(op: Migration) -> None:
    """Create where the bus remembers whose data these are (E3)."""
    for statement in _DDL_V2:
        op.execute(text(statement))


_DDL_V3 = (
    """
    CREATE TABLE dead_letter_act (
        id uuid NOT NULL PRIMARY KEY, letter uuid NOT NULL REFERENCES dead_letter ON DELETE CASCADE,
        at timestamptz NOT NULL, by text NOT NULL, act text NOT NULL, reason text, outcome text NOT NULL
    )
    """,
    "CREATE INDEX dead_letter_act_letter ON dead_letter_act (letter)",
    "CREATE INDEX dead_letter_resolved ON dead_letter (resolved_at) WHERE state <> 'open'",
)


def bus_tables_v3(op: Migration) -> None:
    """Create where each act on a dead letter is kept, and the way to letters that were resolved long ago."""
    for statement in _DDL_V3:
        op.execute(text(statement))


_DDL_V4 = (
    "ALTER TABLE deferred ALTER due DROP NOT NULL, ADD epoch bigint, ADD sequence bigint",
    """
    UPDATE deferred SET
        epoch = (SELECT (h ->> 1)::bigint FROM jsonb_array_elements(headers) h WHERE h ->> 0 = 'ce_epoch'),
        sequence = (SELECT (h ->> 1)::bigint FROM jsonb_array_elements(headers) h WHERE h ->> 0 = 'ce_sequence')
    """,
    "ALTER TABLE deferred ALTER epoch SET NOT NULL, ALTER sequence SET NOT NULL",
    "CREATE INDEX deferred_queue ON deferred (key, topic, epoch, sequence)",
)


def bus_tables_v4(op: Migration) -> None:
    """Give waiting facts their places, so that those of one key can wait in order (D2)."""
    for statement in _DDL_V4:
        op.execute(text(statement))


_DDL_V5 = (
    "ALTER TABLE outbox_segment ADD base_epoch bigint, ADD base bigint",
    # An older epoch's first segment that is still here follows what was published last.
    """
    UPDATE outbox_segment g SET
        base_epoch = CASE g.epoch WHEN s.epoch THEN s.base_epoch WHEN p.epoch THEN 0 ELSE coalesce(p.epoch, 0) END,
        base = CASE g.epoch WHEN s.epoch THEN s.base WHEN p.epoch THEN 0 ELSE coalesce(p.sequence, 0) END
    FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition)
    WHERE (g.topic, g.partition) = (s.topic, s.partition)
    """,
    "ALTER TABLE outbox_segment ALTER base_epoch SET NOT NULL, ALTER base SET NOT NULL",
    "TRUNCATE outbox_kept",
    "ALTER TABLE outbox_kept ADD base_epoch bigint NOT NULL, ADD base bigint NOT NULL",
)


def bus_tables_v5(op: Migration) -> None:
    """Have every segment say what came before its epoch's first number (E2); what was kept before cannot say it."""
    for statement in _DDL_V5:
        op.execute(text(statement))


def add_bus_tables(metadata: MetaData) -> None:
    """Describe the bus's tables on a service's metadata, as the steps above create them."""
    instant = DateTime(timezone=True)
    Table(
        "bus_history",
        metadata,
        Column("one", Boolean, primary_key=True),
        Column("system_identifier", Text, nullable=False),
    )
    Table(
        "outbox_stream",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("head", BigInteger, nullable=False),
        Column("base_epoch", BigInteger, nullable=False),
        Column("base", BigInteger, nullable=False),
        Column("timeline", Text, nullable=False),
        PrimaryKeyConstraint("topic", "partition"),
    )
    Table(
        "outbox_published",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        PrimaryKeyConstraint("topic", "partition"),
    )
    Table(
        "outbox_segment",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("count", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("appended_at", instant, nullable=False),
        Column("base_epoch", BigInteger, nullable=False),
        Column("base", BigInteger, nullable=False),
        PrimaryKeyConstraint("topic", "partition", "epoch", "first"),
    )
    Table(
        "outbox_lease",
        metadata,
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("holder", Text, nullable=False),
        Column("until", instant, nullable=False),
    )
    Table(
        "inbox_position",
        metadata,
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("last_id", Text),
        Column("seen", JSONB, nullable=False),
        Column("state", Text, nullable=False),
        Column("reason", Text),
        Column("at", instant, nullable=False),
        Column("adopt", Boolean, nullable=False, server_default=false()),
        Column("next_epoch", BigInteger),
        Column("next_sequence", BigInteger),
        Column("stopped_at", instant),
        Column("scan_end", BigInteger),
        PrimaryKeyConstraint("topic", "partition"),
    )
    add_inbox_tables(metadata)
    add_outbox_tables(metadata)
    dead = Table(
        "dead_letter",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("epoch", BigInteger),
        Column("sequence", BigInteger),
        Column("key", Text),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary),
        Column("code", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Column("step", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("traceparent", Text),
        Column("failed_at", instant, nullable=False),
        Column("state", Text, nullable=False),
        Column("resolved_at", instant),
        Column("resolved_by", Text),
        Column("resolved_reason", Text),
    )
    Index("dead_letter_open", dead.c.key, postgresql_where=dead.c.state == "open")
    Index("dead_letter_resolved", dead.c.resolved_at, postgresql_where=dead.c.state != "open")
    act = Table(
        "dead_letter_act",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("letter", UUID, ForeignKey("dead_letter.id", ondelete="CASCADE"), nullable=False),
        Column("at", instant, nullable=False),
        Column("by", Text, nullable=False),
        Column("act", Text, nullable=False),
        Column("reason", Text),
        Column("outcome", Text, nullable=False),
    )
    Index("dead_letter_act_letter", act.c.letter)
    deferred = Table(
        "deferred",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("key", Text),
        Column("due", instant),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary),
        Column("attempts", Integer, nullable=False),
    )
    Index("deferred_due", deferred.c.due)
    Index("deferred_queue", deferred.c.key, deferred.c.topic, deferred.c.epoch, deferred.c.sequence)
