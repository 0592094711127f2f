"""Old rows are found by their instants, to be forgotten.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("timeline_old", "timeline", ["at"])
    op.create_index("contact_old", "contact", ["logged_at"])
    op.create_index("skipped_case_old", "skipped_case", ["at"])
    op.create_index("field_list_old", "field_list", ["filed_at"])
    op.create_index("personal_data_read_old", "personal_data_read", ["at"])
