"""Facts wait in the order of their stream.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v4

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give waiting facts their places."""
    bus_tables_v4(op)
