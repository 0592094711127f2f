"""Every SQL statement of intake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import asyncpg

from services.ingest.domain.intake import Sound
from services.ingest.domain.outcomes import Identity
from shared.bus.streams import Segment, StreamKey

# Sorted, so that two requests that bring the same events wait for each other and never for ever (L5).
_REMEMBER = """
INSERT INTO seen_event (source, id, digest, day)
SELECT source, id, digest, $4 FROM unnest($1::text[], $2::text[], $3::bytea[]) AS e (source, id, digest)
ORDER BY source, id
ON CONFLICT (source, id) DO NOTHING
RETURNING source, id
"""

_DIGESTS = """
SELECT s.source, s.id, s.digest
FROM unnest($1::text[], $2::text[]) AS e (source, id) JOIN seen_event s USING (source, id)
"""

# Only committed appends show, so whatever a known event told is at or below its stream's head.
_HEADS = """
SELECT s.topic, s.partition, s.epoch, s.head
FROM unnest($1::text[], $2::int[]) AS w (topic, partition) JOIN outbox_stream s USING (topic, partition)
"""


async def remember(connection: asyncpg.Connection, events: Collection[Sound], day: date) -> frozenset[Identity]:
    """Keep the identities of `events`, which are all different, and return those that are new."""
    if not events:
        return frozenset()
    rows = await connection.fetch(
        _REMEMBER,
        [event.source for event in events],
        [event.id for event in events],
        [event.digest for event in events],
        day,
    )
    return frozenset((row["source"], row["id"]) for row in rows)


async def digests_of(connection: asyncpg.Connection, identities: Collection[Identity]) -> Mapping[Identity, bytes]:
    """Return the hash of the content that is kept for each identity.

    Run after `remember`: a request that took the same event has then committed, and this statement sees it.
    """
    if not identities:
        return {}
    rows = await connection.fetch(
        _DIGESTS, [source for source, _ in identities], [event_id for _, event_id in identities]
    )
    return {(row["source"], row["id"]): row["digest"] for row in rows}


async def heads_of(connection: asyncpg.Connection, streams: Collection[StreamKey]) -> list[Segment]:
    """Return how far each stream has been written, as empty segments that end there."""
    if not streams:
        return []
    rows = await connection.fetch(_HEADS, [topic for topic, _ in streams], [partition for _, partition in streams])
    return [Segment(row["topic"], row["partition"], row["epoch"], row["head"] + 1, (0, 0), ()) for row in rows]
