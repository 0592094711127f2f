"""The first tables of assignment.

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
        customer_id text NOT NULL PRIMARY KEY, version bigint NOT NULL, entries integer NOT NULL, state jsonb NOT NULL,
        next_due timestamptz, case_id text, status text, queue text, bucket text, grade text, collector text, team text,
        workable boolean NOT NULL, offer_from timestamptz, rank integer NOT NULL, currency text NOT NULL,
        owed bigint NOT NULL, leased_by text, leased_until timestamptz
    ) WITH (fillfactor = 70)
    """,
    "CREATE UNIQUE INDEX customer_case ON customer (case_id) WHERE case_id IS NOT NULL",
    "CREATE INDEX customer_next_due ON customer (next_due) WHERE next_due IS NOT NULL",
    "CREATE INDEX customer_collector ON customer (collector, rank) WHERE workable",
    "CREATE INDEX customer_team ON customer (team, customer_id) WHERE case_id IS NOT NULL",
    "CREATE INDEX customer_held ON customer (collector) WHERE queue IS NOT NULL",
    """
    CREATE TABLE timeline (
        customer_id text NOT NULL, seq integer NOT NULL, case_id text NOT NULL, kind text NOT NULL,
        at timestamptz NOT NULL, zh text NOT NULL, en text NOT NULL, data jsonb NOT NULL,
        PRIMARY KEY (customer_id, seq)
    )
    """,
    "CREATE INDEX timeline_case ON timeline (case_id, seq)",
    """
    CREATE TABLE staff (
        staff_id text NOT NULL PRIMARY KEY, version bigint NOT NULL, role text NOT NULL, team text NOT NULL,
        active boolean NOT NULL, state jsonb NOT NULL
    )
    """,
    "CREATE INDEX staff_role ON staff (role, staff_id)",
    """
    CREATE TABLE contact (
        contact_id text NOT NULL PRIMARY KEY, customer_id text NOT NULL, case_id text NOT NULL, staff_id text NOT NULL,
        channel text NOT NULL, line text NOT NULL, party text NOT NULL, outcome text NOT NULL, purpose text NOT NULL,
        phone_id text, contacted_at timestamptz NOT NULL, logged_at timestamptz NOT NULL, note text
    )
    """,
    """
    CREATE TABLE field_list (
        list_id text NOT NULL PRIMARY KEY, phone_agent_id text NOT NULL, team text NOT NULL, day date NOT NULL,
        filed_at timestamptz NOT NULL, lines jsonb NOT NULL
    )
    """,
    "CREATE INDEX field_list_agent ON field_list (phone_agent_id, filed_at, list_id)",
    "CREATE INDEX field_list_team ON field_list (team, filed_at, list_id)",
    """
    CREATE TABLE personal_data_read (
        read_id text NOT NULL PRIMARY KEY, staff_id text NOT NULL, case_id text NOT NULL, at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE skipped_case (
        skip_id text NOT NULL PRIMARY KEY, staff_id text NOT NULL, case_id text NOT NULL, reason text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    bus_tables_v1(op)
    for statement in (*idempotency.DDL.split(";"), *_DDL):
        if statement.strip():
            op.execute(text(statement))
