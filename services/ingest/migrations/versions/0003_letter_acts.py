"""Each act on a dead letter is kept.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v3

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create its table."""
    bus_tables_v3(op)
