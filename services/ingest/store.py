"""Every SQL statement of intake.

The events that were seen are kept in partitions of `seen_event`, each named after the day on which it began (`day`).
Events are written to the newest one alone, and a newer one is begun only when nobody writes: whoever takes events holds
a shared lock to the end of the transaction, and `turn_over` an exclusive one. So all writers of a time meet in one
partition, whose key tells two racing requests apart; the older partitions are at rest, and looking into them is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from services.ingest.domain.contacts_told import Told
from services.ingest.domain.intake import Sound
from services.ingest.domain.outcomes import Identity
from services.ingest.domain.upstream import Kept, Place, Refused
from shared.bus.positions import NotOwner
from shared.bus.streams import Segment, StreamKey
from shared.db.guard import all_saved
from shared.errors import FieldError
from shared.ids import uuid7

_TURN: Final = 0x7365656E  # "seen"

_TAKE_PART = f"SELECT pg_advisory_xact_lock_shared({_TURN})"
_TURN_ALONE = f"SELECT pg_advisory_xact_lock({_TURN})"

# Sorted, so that two requests that bring the same events wait for each other and never for ever (L5).
_REMEMBER = """
WITH known AS MATERIALIZED (SELECT key FROM seen_event WHERE key = ANY ($1::uuid[]))
INSERT INTO seen_event (key, day, digest)
SELECT key, (SELECT max(day) FROM seen_part), digest FROM unnest($1::uuid[], $2::bytea[]) AS e (key, digest)
WHERE key NOT IN (SELECT key FROM known)
ORDER BY key
ON CONFLICT (key, day) DO NOTHING
RETURNING key
"""

_DIGESTS = "SELECT key, digest FROM seen_event WHERE key = ANY ($1::uuid[])"

_PARTS = "SELECT day FROM seen_part ORDER BY day"
_BEGIN_PART = "CREATE TABLE seen_event_{0:%Y%m%d} PARTITION OF seen_event FOR VALUES IN ('{0:%Y-%m-%d}')"
_DROP_PART = "DROP TABLE seen_event_{0:%Y%m%d}"

_FORGET = "DELETE FROM seen_event WHERE key = ANY ($1::uuid[])"

_LOCK_TOLD = """
SELECT customer_id, version, as_of, erased_as_of FROM contacts_told WHERE customer_id = ANY ($1)
ORDER BY customer_id FOR UPDATE
"""

_SAVE_TOLD = """
INSERT INTO contacts_told (customer_id, version, as_of, erased_as_of)
SELECT customer_id, version, as_of, erased_as_of
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
    AS t (customer_id, version, as_of, erased_as_of)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE
SET version = excluded.version, as_of = excluded.as_of, erased_as_of = excluded.erased_as_of
WHERE contacts_told.version = excluded.version - 1
RETURNING customer_id
"""

# Only committed appends show, so whatever a known event told is at or below its stream's head.
_HEADS = """
SELECT s.topic, s.partition, s.epoch, s.head
FROM unnest($1::text[], $2::int[]) AS w (topic, partition) JOIN outbox_stream s USING (topic, partition)
"""


_BEGIN_UPSTREAM = """
INSERT INTO upstream_position (topic, partition, log_offset, at)
SELECT $1, partition, log_offset, clock_timestamp()
FROM unnest($2::int[], $3::bigint[]) AS p (partition, log_offset) ORDER BY partition
ON CONFLICT DO NOTHING
"""

_UPSTREAM = """
SELECT partition, log_offset, mark FROM upstream_position WHERE topic = $1 AND partition = ANY ($2::int[])
"""

_MOVE_UPSTREAM = """
UPDATE upstream_position SET log_offset = $4, mark = $5, at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND log_offset = $3 RETURNING true
"""

_KEEP_REJECTS = """
INSERT INTO reject (id, at, topic, partition, log_offset, outcome, event_id, errors)
SELECT id, clock_timestamp(), $1, $2, log_offset, outcome, event_id, errors
FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[])
    AS r (id, log_offset, outcome, event_id, errors)
"""

_REJECTS = """
SELECT id, at, topic, partition, log_offset, outcome, event_id, errors FROM reject
WHERE $1::timestamptz IS NULL OR (at, id) < ($1, $2::uuid) ORDER BY at DESC, id DESC LIMIT $3
"""


def key_of(identity: Identity) -> UUID:
    """Return what an identity is stored as: 128 bits of its SHA-256. No source and no id holds the character 0."""
    source, event_id = identity
    return UUID(bytes=hashlib.sha256(f"{source}\x00{event_id}".encode()).digest()[:16])


async def remember(connection: asyncpg.Connection, events: Collection[Sound]) -> frozenset[Identity]:
    """Keep the identities of `events`, which are all different, and return those that are new."""
    if not events:
        return frozenset()
    await connection.execute(_TAKE_PART)
    by_key = {key_of(event.identity): event for event in events}
    rows = await connection.fetch(_REMEMBER, list(by_key), [event.digest for event in by_key.values()])
    return frozenset(by_key[row["key"]].identity for row in rows)


async def forget(connection: asyncpg.Connection, identities: Collection[Identity]) -> None:
    """Forget the identities of events that were refused after all: they may be sent again, corrected."""
    if identities:
        await connection.execute(_FORGET, [key_of(identity) for identity in identities])


async def lock_told(connection: asyncpg.Connection, customer_ids: Iterable[str]) -> dict[str, tuple[int, Told]]:
    """Lock and return how far each customer's contact data were told, with the row's version (0: there is none)."""
    wanted = sorted(set(customer_ids))
    rows = await connection.fetch(_LOCK_TOLD, wanted) if wanted else []
    found = {row["customer_id"]: (row["version"], Told(row["as_of"], row["erased_as_of"])) for row in rows}
    return {key: found.get(key, (0, Told())) for key in wanted}


async def save_told(
    connection: asyncpg.Connection, held: Mapping[str, tuple[int, Told]], after: Mapping[str, Told]
) -> None:
    """Write what changed over the versions that were read.

    Raises:
        StaleState: another request was first; nothing may be committed.
    """
    changed = [key for key, (_, before) in held.items() if after[key] != before]
    if not changed:
        return
    rows = await connection.fetch(
        _SAVE_TOLD,
        changed,
        [held[key][0] + 1 for key in changed],
        [after[key].as_of for key in changed],
        [after[key].erased_as_of for key in changed],
    )
    all_saved(sent=len(changed), returned=len(rows))


async def digests_of(connection: asyncpg.Connection, identities: Collection[Identity]) -> Mapping[Identity, bytes]:
    """Return the hash of the content that is kept for each identity.

    Run after `remember`: a request that took the same event has then committed, and this statement sees it.
    """
    if not identities:
        return {}
    by_key = {key_of(identity): identity for identity in identities}
    rows = await connection.fetch(_DIGESTS, list(by_key))
    return {by_key[row["key"]]: row["digest"] for row in rows}


async def today(connection: asyncpg.Connection) -> date:
    """Return the day by the database's clock, in UTC."""
    day: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    return day


async def turn_over(connection: asyncpg.Connection, today: date, *, width: timedelta, window: timedelta) -> int:
    """Begin a new partition when the newest is `width` old, and drop those of which nothing is younger than `window`.

    A partition holds what came until the next one began, however late that was; so it goes when the next one is as old
    as the window. Nobody takes events meanwhile, and nobody waits when there is nothing to do.

    Returns:
        How many partitions were dropped.
    """
    if not any(_due(await _parts(connection), today, width, window)):
        return 0
    await connection.execute(_TURN_ALONE)
    begins, gone = _due(await _parts(connection), today, width, window)  # another replica may have been first
    if begins:
        await connection.execute(_BEGIN_PART.format(today))
        await connection.execute("INSERT INTO seen_part (day) VALUES ($1)", today)
    for day in gone:
        await connection.execute(_DROP_PART.format(day))
    await connection.execute("DELETE FROM seen_part WHERE day = ANY ($1::date[])", gone)
    return len(gone)


async def _parts(connection: asyncpg.Connection) -> list[date]:
    return [row["day"] for row in await connection.fetch(_PARTS)]


def _due(parts: list[date], today: date, width: timedelta, window: timedelta) -> tuple[bool, list[date]]:
    """Return whether a partition is to be begun, and which ones to be dropped."""
    begins = today - parts[-1] >= width
    gone = [day for day, following in pairwise([*parts, today] if begins else parts) if today - following >= window]
    return begins, gone


async def heads_of(connection: asyncpg.Connection, streams: Collection[StreamKey]) -> list[Segment]:
    """Return how far each stream has been written, as empty segments that end there."""
    if not streams:
        return []
    rows = await connection.fetch(_HEADS, [topic for topic, _ in streams], [partition for _, partition in streams])
    return [Segment(row["topic"], row["partition"], row["epoch"], row["head"] + 1, (0, 0), ()) for row in rows]


async def begin_upstream(connection: asyncpg.Connection, topic: str, starts: Mapping[int, int]) -> None:
    """Begin to read partitions of the card system's topic at these offsets, where nothing was read of them yet."""
    await connection.execute(_BEGIN_UPSTREAM, topic, list(starts), list(starts.values()))


async def upstream(connection: asyncpg.Connection, topic: str, partitions: Collection[int]) -> dict[int, Place]:
    """Return how far these partitions of the card system's topic were taken."""
    rows = await connection.fetch(_UPSTREAM, topic, list(partitions))
    return {row["partition"]: Place(row["log_offset"], row["mark"]) for row in rows}


async def move_upstream(connection: asyncpg.Connection, topic: str, partition: int, old: Place, new: Place) -> None:
    """Move a position, first thing in the transaction that stores the effect of what was read.

    Raises:
        NotOwner: another reader has moved it.
    """
    if not await connection.fetchval(_MOVE_UPSTREAM, topic, partition, old.offset, new.offset, new.mark):
        raise NotOwner(f"{topic}/{partition} is not at {old.offset} any more")


async def keep_rejects(connection: asyncpg.Connection, topic: str, partition: int, refused: Sequence[Refused]) -> None:
    """Keep what of a partition was not taken."""
    if refused:
        await connection.execute(
            _KEEP_REJECTS,
            topic,
            partition,
            [uuid7() for _ in refused],
            [each.offset for each in refused],
            [each.outcome for each in refused],
            [each.event_id for each in refused],
            [msgspec.json.encode(each.errors).decode() for each in refused],
        )


async def rejects(connection: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int) -> list[Kept]:
    """Return what was not taken of the card system's topic, the newest first, behind `after`."""
    rows = await connection.fetch(_REJECTS, *(after or (None, None)), limit)
    return [
        Kept(
            row["id"],
            row["at"],
            row["topic"],
            row["partition"],
            Refused(
                row["log_offset"],
                row["outcome"],
                row["event_id"],
                msgspec.json.decode(row["errors"], type=tuple[FieldError, ...]),
            ),
        )
        for row in rows
    ]
