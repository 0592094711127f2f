"""The index of cases with a collector holds those that are worked, not those that are only reminded, maybe a million.

Revision ID: 0016
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_DDL = (
    "DROP INDEX customer_held",
    "CREATE INDEX customer_held ON customer (collector) WHERE queue IN ('phone', 'field', 'hardship', 'skip')",
)


def upgrade() -> None:
    """Make the index again."""
    for statement in _DDL:
        op.execute(text(statement))
