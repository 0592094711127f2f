"""The bus's tables and the identities of the events that were taken."""

from __future__ import annotations

from alembic import op

from shared.bus.tables import bus_tables_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    bus_tables_v1(op)
    op.execute(
        """
        CREATE TABLE seen_event (
            source text NOT NULL, id text NOT NULL, digest bytea NOT NULL, day date NOT NULL,
            PRIMARY KEY (source, id)
        )
        """
    )
