"""Readers note forks and stale facts; operators' acts on positions are recorded.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op

from shared.bus.inbox_tables import add_inbox_histories

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their tables."""
    add_inbox_histories(op)
