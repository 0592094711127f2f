"""What became of messages after they had left: their parts, and the network's receipts; addresses nothing reaches.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_DDL = (
    """
    CREATE TABLE sms_part (
        gateway text NOT NULL, message_id text NOT NULL, notice_id text, number integer, total integer, word text,
        at timestamptz NOT NULL, PRIMARY KEY (gateway, message_id)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX sms_part_notice ON sms_part (notice_id) WHERE notice_id IS NOT NULL",
    "CREATE INDEX sms_part_old ON sms_part (at)",
    "ALTER TABLE notice ADD COLUMN gateway text, ADD COLUMN delivery text, ADD COLUMN delivery_at timestamptz",
    "CREATE INDEX notice_undelivered ON notice (created_at, notice_id) WHERE delivery = 'undelivered'",
    "CREATE INDEX customer_unusable ON customer (customer_id) WHERE state ? 'unusable'",
)


def upgrade() -> None:
    """Create the table, the columns of a notice that it fills, and the index."""
    for statement in _DDL:
        op.execute(text(statement))
