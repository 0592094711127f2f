"""What champion and challenger say of each account.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DDL = """
CREATE TABLE comparison (
    customer_id text NOT NULL, account_id text NOT NULL, compared_at timestamptz NOT NULL, bucket text NOT NULL,
    champion text NOT NULL, champion_version text NOT NULL, champion_score integer NOT NULL,
    champion_grade text NOT NULL, champion_treatment text NOT NULL,
    challenger text NOT NULL, challenger_version text NOT NULL, challenger_score integer NOT NULL,
    challenger_grade text NOT NULL, challenger_treatment text NOT NULL,
    PRIMARY KEY (customer_id, account_id)
) WITH (fillfactor = 70)
"""


def upgrade() -> None:
    """Create its table."""
    op.execute(_DDL)
