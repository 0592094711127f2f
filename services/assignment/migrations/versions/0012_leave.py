"""Who is on leave is found by the last day of any leave, those recorded before too; and so are cases that moved.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FILL = """
UPDATE staff SET leave_until = (
    SELECT max((leave ->> 'last_day')::date) FROM jsonb_array_elements(state -> 'leave') AS leave
)
"""

_MOVED = "kind = 'case_assigned' AND data ->> 'earlier_staff_id' IS NOT NULL"


def upgrade() -> None:
    """Create the column, fill it, and make both indexes."""
    op.add_column("staff", sa.Column("leave_until", sa.Date(), nullable=True))
    op.execute(text(_FILL))
    op.create_index("staff_leave", "staff", ["leave_until"], postgresql_where=text("leave_until IS NOT NULL"))
    op.create_index("timeline_moved", "timeline", ["at", "customer_id", "seq"], postgresql_where=text(_MOVED))
