"""With whom a case is in the field, so that those of a field collector who leaves are found.

Revision ID: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_FILL = """
UPDATE customer SET field_agent = state -> 'case' -> 'hand_over' ->> 'field_agent_id'
WHERE state -> 'case' -> 'hand_over' ->> 'field_agent_id' IS NOT NULL
"""


def upgrade() -> None:
    """Create the column, fill it, index it."""
    op.add_column("customer", sa.Column("field_agent", sa.Text(), nullable=True))
    op.execute(text(_FILL))
    op.create_index(
        "customer_field_agent", "customer", ["field_agent"], postgresql_where=text("field_agent IS NOT NULL")
    )
