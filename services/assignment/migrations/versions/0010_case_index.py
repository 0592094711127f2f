"""A case's index is not unique: a case id is derived from its customer, whose own key is.

Of two batches that meet a new customer at the same instant one must find the other's row and be taken again. With a
second unique index PostgreSQL may notice that one first, which is an error and no ON CONFLICT.

Revision ID: 0010
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index anew."""
    op.drop_index("customer_case", "customer")
    op.create_index("customer_case", "customer", ["case_id"], postgresql_where=text("case_id IS NOT NULL"))
