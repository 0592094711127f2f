"""Cases for which law or an agency is proposed are found.

Revision ID: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column and its index."""
    op.add_column("customer", sa.Column("proposed", sa.Text(), nullable=True))
    op.create_index("customer_proposed", "customer", ["customer_id"], postgresql_where=text("proposed IS NOT NULL"))
