"""Given-up numbers are recorded; forgotten facts wait for review.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op

from shared.bus.outbox_tables import add_outbox_acts

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their tables."""
    add_outbox_acts(op)
