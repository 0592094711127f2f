"""A scan of a compacted topic marks whom it has seen.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

from shared.bus.inbox_tables import add_inbox_scans

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the column."""
    add_inbox_scans(op)
