"""How far each customer's contact data were told and erased.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create its table."""
    op.execute(
        """
        CREATE TABLE contacts_told (
            customer_id text NOT NULL PRIMARY KEY, version bigint NOT NULL,
            as_of timestamptz, erased_as_of timestamptz
        )
        """
    )
