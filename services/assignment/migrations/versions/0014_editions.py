"""By which strategy a case was decided last; those of the time before count as decided by the oldest.

Revision ID: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column and its index."""
    op.add_column("customer", sa.Column("decided_by", sa.Text(), nullable=False, server_default=""))
    op.create_index("customer_decided_by", "customer", ["decided_by"], postgresql_where=text("status = 'open'"))
