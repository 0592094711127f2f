"""Which replica publishes which partition (P7). A lease only saves duplicates; safety does not rest on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import asyncpg

from shared.db.pool import borrow

SECONDS = 10

_RENEW = """
UPDATE outbox_lease SET until = clock_timestamp() + make_interval(secs => $2)
WHERE holder = $1 RETURNING partition
"""

# A share of the partitions for each holder that is alive, this one included; only expired or free ones are taken.
_CLAIM = """
WITH share AS (
    SELECT ceil($2::float8 / count(*)) AS most FROM (
        SELECT holder FROM outbox_lease WHERE until > clock_timestamp() UNION SELECT $1
    ) AS alive
), mine AS (
    SELECT count(*) AS held FROM outbox_lease WHERE holder = $1
), free AS (
    SELECT p AS partition FROM generate_series(0, $2::int - 1) AS p
    WHERE NOT EXISTS (SELECT FROM outbox_lease l WHERE l.partition = p AND l.until > clock_timestamp())
    ORDER BY p LIMIT (SELECT greatest(most - held, 0)::int FROM share, mine)
)
INSERT INTO outbox_lease AS l (partition, holder, until)
SELECT partition, $1, clock_timestamp() + make_interval(secs => $3) FROM free ORDER BY partition
ON CONFLICT (partition) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.until <= clock_timestamp()
RETURNING partition
"""

_FORCE = """
INSERT INTO outbox_lease (partition, holder, until)
SELECT p, $1, clock_timestamp() + make_interval(secs => $3) FROM unnest($2::int[]) AS p ORDER BY p
ON CONFLICT (partition) DO UPDATE SET holder = excluded.holder, until = excluded.until
"""


class Leases:
    """The partitions that this process publishes; a holder is a replica's stable name, so a restart goes on."""

    def __init__(self, pool: asyncpg.Pool, holder: str, partitions: int) -> None:
        self._pool = pool
        self._holder = holder
        self._partitions = partitions
        self.held: frozenset[int] = frozenset()
        self._changing = asyncio.Lock()

    async def renew(self) -> None:
        """Renew what is held and take a fair share of what nobody holds."""
        async with self._changing, borrow(self._pool) as connection:
            async with connection.transaction():
                kept = await connection.fetch(_RENEW, self._holder, SECONDS)
                gained = await connection.fetch(_CLAIM, self._holder, self._partitions, SECONDS)
            self.held = frozenset(row["partition"] for row in (*kept, *gained))

    async def take(self, partitions: Iterable[int]) -> None:
        """Take these leases at once: this replica reads their partitions, so it writes them too."""
        wanted = sorted(partitions)
        async with self._changing, borrow(self._pool) as connection:
            await connection.execute(_FORCE, self._holder, wanted, SECONDS)
            self.held |= frozenset(wanted)
