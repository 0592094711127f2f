"""The events that were seen move into partitions, so that old ones go by dropping a table.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOVE = r"""
WITH named AS (
    SELECT digest, convert_to(source, 'UTF8') || CAST('\x00' AS bytea) || convert_to(id, 'UTF8') AS name
    FROM seen_before
)
INSERT INTO seen_event (key, day, digest)
SELECT CAST(encode(substr(sha256(name), 1, 16), 'hex') AS uuid), :today, digest FROM named
"""


def upgrade() -> None:
    """Make the first partition and move what is known into it; it is kept for a whole window from today.

    The key is that of `services.ingest.store.key_of`, as it was when this was written.
    """
    today = op.get_bind().scalar(text("SELECT (now() AT TIME ZONE 'UTC')::date"))
    op.execute("ALTER TABLE seen_event RENAME TO seen_before")
    op.execute("ALTER TABLE seen_before RENAME CONSTRAINT seen_event_pkey TO seen_before_pkey")
    op.execute(
        """
        CREATE TABLE seen_event (
            key uuid NOT NULL, day date NOT NULL, digest bytea NOT NULL, PRIMARY KEY (key, day)
        ) PARTITION BY LIST (day)
        """
    )
    op.execute("CREATE TABLE seen_part (day date NOT NULL PRIMARY KEY)")
    op.execute(f"CREATE TABLE seen_event_{today:%Y%m%d} PARTITION OF seen_event FOR VALUES IN ('{today}')")
    op.execute(text("INSERT INTO seen_part (day) VALUES (:today)").bindparams(today=today))
    op.execute(text(_MOVE).bindparams(today=today))
    op.execute("DROP TABLE seen_before")
