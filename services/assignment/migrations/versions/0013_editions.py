"""By which strategy a case was decided last; those of the time before count as decided by the oldest.

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
    op.add_column("customer", sa.Column("decided_by", sa.Text(), nullable=False, server_default=""))
    op.create_index("customer_decided_by", "customer", ["decided_by"], postgresql_where=text("status = 'open'"))
