"""The bus's tables, the state of each customer's accounts, and the history of gradings."""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DDL = (
    """
    CREATE TABLE customer_score (
        customer_id text NOT NULL PRIMARY KEY, version bigint NOT NULL, state jsonb NOT NULL, next_due timestamptz,
        traceparent text
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX customer_score_next_due ON customer_score (next_due)",
    """
    CREATE TABLE grading (
        customer_id text NOT NULL, account_id text NOT NULL, version integer NOT NULL, graded_at timestamptz NOT NULL,
        score integer NOT NULL, grade text NOT NULL, bucket text NOT NULL, suggested_treatment text NOT NULL,
        reasons jsonb NOT NULL, card text NOT NULL, card_version text NOT NULL, basis jsonb NOT NULL,
        PRIMARY KEY (customer_id, account_id, version)
    )
    """,
    "CREATE INDEX grading_newest ON grading (customer_id, graded_at, account_id, version)",
)


def upgrade() -> None:
    """Create them."""
    bus_tables_v1(op)
    for statement in _DDL:
        op.execute(statement)
