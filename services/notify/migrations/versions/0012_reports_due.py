"""Reports that are due have an index of their own: they are looked for beside a million reminders that wait.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DDL = "CREATE INDEX notice_report_due ON notice (due) WHERE state IN ('due', 'waiting') AND staff_id IS NOT NULL"


def upgrade() -> None:
    """Create the index."""
    op.execute(text(_DDL))
