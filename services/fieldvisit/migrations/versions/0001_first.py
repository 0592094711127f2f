"""The first tables of the field desk.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from shared.bus.tables import bus_tables_v1
from shared.web import idempotency

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DDL = (
    """
    CREATE TABLE customer (
        customer_id text NOT NULL PRIMARY KEY, version bigint NOT NULL, next_due timestamptz, state jsonb NOT NULL
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX customer_next_due ON customer (next_due) WHERE next_due IS NOT NULL",
    """
    CREATE TABLE visit (
        visit_id text NOT NULL PRIMARY KEY, customer_id text NOT NULL, hand_over_id text NOT NULL,
        field_agent_id text NOT NULL, team text NOT NULL, people text[] NOT NULL, state text NOT NULL,
        due_at timestamptz NOT NULL, breached boolean NOT NULL, starts_at timestamptz, ends_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX visit_hand_over ON visit (hand_over_id)",
    "CREATE INDEX visit_order ON visit (due_at, visit_id)",
    "CREATE INDEX visit_team ON visit (team, due_at, visit_id)",
    "CREATE INDEX visit_people ON visit USING gin (people)",
    "CREATE TABLE staff (staff_id text NOT NULL PRIMARY KEY, version integer NOT NULL, state jsonb NOT NULL)",
    """
    CREATE TABLE plan (
        plan_id text NOT NULL PRIMARY KEY, field_agent_id text NOT NULL, team text NOT NULL,
        filed_at timestamptz NOT NULL, lines jsonb NOT NULL
    )
    """,
    "CREATE INDEX plan_order ON plan (filed_at, plan_id)",
    """
    CREATE TABLE visit_note (
        note_id text NOT NULL PRIMARY KEY, visit_id text NOT NULL, written_at timestamptz NOT NULL,
        written_by text NOT NULL, about text NOT NULL, text text NOT NULL
    )
    """,
    "CREATE INDEX visit_note_visit ON visit_note (visit_id, written_at)",
    """
    CREATE TABLE report (
        report_id text NOT NULL PRIMARY KEY, kind text NOT NULL, visit_id text NOT NULL, case_id text NOT NULL,
        customer_id text NOT NULL, field_agent_id text NOT NULL, team text NOT NULL, due_at timestamptz NOT NULL,
        at timestamptz NOT NULL, on_time boolean, detail text
    )
    """,
    "CREATE INDEX report_order ON report (at, report_id)",
    """
    CREATE TABLE unmasked_read (
        read_id text NOT NULL PRIMARY KEY, visit_id text NOT NULL, staff_id text NOT NULL, at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX unmasked_read_visit ON unmasked_read (visit_id, at)",
)


def upgrade() -> None:
    bus_tables_v1(op)
    for statement in (*idempotency.DDL.split(";"), *_DDL):
        if statement.strip():
            op.execute(text(statement))
