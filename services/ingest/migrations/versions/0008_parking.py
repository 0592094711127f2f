"""Facts wait in the order of their stream.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v4

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give waiting facts their places."""
    bus_tables_v4(op)
