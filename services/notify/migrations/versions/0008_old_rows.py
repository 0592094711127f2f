"""Old rows are found by their instants, to be forgotten.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("unmasked_read_old", "unmasked_read", ["at"])
