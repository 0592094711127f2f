"""The bus remembers which history its numbers belong to.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create its table."""
    bus_tables_v2(op)
