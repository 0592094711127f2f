"""The first tables of notify.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from shared.bus.tables import bus_tables_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DDL = (
    """
    CREATE TABLE customer (customer_id text NOT NULL PRIMARY KEY, version bigint NOT NULL, state jsonb NOT NULL)
    WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE colleague (
        staff_id text NOT NULL PRIMARY KEY, version integer NOT NULL, name text NOT NULL, role text NOT NULL,
        team text NOT NULL, language text NOT NULL, email text NOT NULL, active boolean NOT NULL,
        since timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE report (
        report_key text NOT NULL PRIMARY KEY, purpose text NOT NULL, staff_id text, role text, team text,
        body jsonb NOT NULL, occurred_at timestamptz NOT NULL, due timestamptz, told integer NOT NULL,
        traceparent text NOT NULL
    )
    """,
    "CREATE INDEX report_due ON report (due) WHERE due IS NOT NULL",
    "CREATE INDEX report_untold ON report (report_key) WHERE told = 0",
    "CREATE INDEX report_occurred ON report (occurred_at)",
    """
    CREATE TABLE notice (
        notice_id text NOT NULL PRIMARY KEY, natural_key text NOT NULL, partition integer NOT NULL,
        customer_id text, staff_id text, case_id text, purpose text NOT NULL, channel text NOT NULL,
        template text NOT NULL, template_version text, language text, state text NOT NULL, due timestamptz NOT NULL,
        retry_at timestamptz, attempts integer NOT NULL, payload jsonb NOT NULL, address text, subject text, text text,
        reason jsonb, provider_ref text, barrier_at timestamptz, holder text, lease_until timestamptz,
        reserved_at timestamptz, ended_at timestamptz, created_at timestamptz NOT NULL, traceparent text NOT NULL
    ) WITH (fillfactor = 70)
    """,
    "CREATE UNIQUE INDEX notice_natural_key ON notice (natural_key)",
    "CREATE INDEX notice_due ON notice (due) WHERE state IN ('due', 'waiting')",
    "CREATE INDEX notice_sending ON notice (lease_until) WHERE state = 'sending'",
    "CREATE INDEX notice_order ON notice (created_at, notice_id)",
    "CREATE INDEX notice_customer ON notice (customer_id, created_at, notice_id)",
    "CREATE INDEX notice_staff ON notice (staff_id, created_at, notice_id)",
    "CREATE INDEX notice_unconfirmed ON notice (created_at, notice_id) WHERE state = 'unconfirmed'",
    """
    CREATE TABLE unmasked_read (
        read_id text NOT NULL PRIMARY KEY, notice_id text NOT NULL, staff_id text NOT NULL, at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX unmasked_read_notice ON unmasked_read (notice_id, at)",
)


def upgrade() -> None:
    bus_tables_v1(op)
    for statement in _DDL:
        op.execute(text(statement))
