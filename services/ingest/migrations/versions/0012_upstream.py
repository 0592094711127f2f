"""The card system's topic can be read: how far, and what of it was not taken.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        """
        CREATE TABLE upstream_position (
            topic text NOT NULL, partition integer NOT NULL, log_offset bigint NOT NULL, mark bytea,
            at timestamptz NOT NULL, PRIMARY KEY (topic, partition)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE reject (
            id uuid NOT NULL PRIMARY KEY, at timestamptz NOT NULL, topic text NOT NULL, partition integer NOT NULL,
            log_offset bigint NOT NULL, outcome text NOT NULL, event_id text, errors jsonb NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX reject_newest ON reject (at, id)")
