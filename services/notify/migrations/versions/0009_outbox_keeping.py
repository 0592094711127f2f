"""Published segments can be kept for a time and published again.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op

from shared.bus.outbox_tables import add_outbox_keeping

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    add_outbox_keeping(op)
