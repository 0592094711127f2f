"""Each segment says what came before the first number of its epoch.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v5

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give segments their base."""
    bus_tables_v5(op)
