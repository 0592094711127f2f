"""Begins a new epoch in a stream whose database forgot what it once told (E4).

A volume that was rolled back stays on its server and timeline, and an emptied database has no past at all, so E3 sees
nothing. But the log does: it ends with a fact above `published` that the outbox does not hold. The unsent facts then
get a new epoch that goes on from `published`; so readers see a fork, and drop nothing new as old.
"""

from __future__ import annotations

import logging

import asyncpg

from shared.bus.history import begin_if_other
from shared.bus.outbox import Cursor, load_stream
from shared.bus.streams import StreamKey, pack, unpack
from shared.bus.tails import HIDDEN, Tail

_log = logging.getLogger(__name__)

_LOCK_STREAM = "SELECT epoch, base_epoch, base FROM outbox_stream WHERE (topic, partition) = ($1, $2) FOR UPDATE"
_MAKE_PUBLISHED = """
INSERT INTO outbox_published (topic, partition, epoch, sequence) VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING
"""
# Whoever records progress waits here; what it then writes is below the new epoch, so it changes nothing any more.
_LOCK_PUBLISHED = "SELECT epoch, sequence FROM outbox_published WHERE (topic, partition) = ($1, $2) FOR UPDATE"
_HOLDING = """
SELECT first, body FROM outbox_segment
WHERE (topic, partition) = ($1, $2) AND epoch = $3 AND first <= $4 AND first + count > $4
"""
# Both know what came before the first number of an epoch; the stream's row only of its present one.
_NEXT_NUMBER = """
SELECT epoch, base_epoch, base FROM outbox_segment WHERE (topic, partition) = ($1, $2) AND first + count - 1 > $3
ORDER BY epoch, first LIMIT 1
"""
_EPOCH = """
UPDATE outbox_stream
SET epoch = greatest(epoch + 1, $3 + 1, extract(epoch FROM clock_timestamp())::bigint), base_epoch = $4, base = $5
WHERE (topic, partition) = ($1, $2) RETURNING epoch
"""
_HALF_SENT = """
SELECT epoch, first, body FROM outbox_segment
WHERE (topic, partition) = ($1, $2) AND first <= $3 AND first + count - 1 > $3
"""
_CUT = """
UPDATE outbox_segment SET first = $5, count = $6, body = $7 WHERE (topic, partition, epoch, first) = ($1, $2, $3, $4)
"""
_RELABEL = """
UPDATE outbox_segment SET epoch = $3, base_epoch = $5, base = $6 WHERE (topic, partition) = ($1, $2) AND first > $4
"""
_PUBLISHED = "UPDATE outbox_published SET epoch = $3, sequence = $4 WHERE (topic, partition) = ($1, $2)"


async def place_of(connection: asyncpg.Connection, key: StreamKey, tail: Tail | None) -> tuple[int, Cursor]:
    """Return a stream's epoch and the place up to which it is known to be in the log, which ends with `tail`.

    `tail` must be as it was before this call. If the database forgot what lies there, a new epoch is begun first; also
    if that cannot be told, since one epoch too many does no harm.
    """
    # A connection may be older than the server's promotion, which begins epochs of its own; that comes first (E3).
    await begin_if_other(connection)
    epoch, published = await load_stream(connection, key)
    if tail is None or (tail.place <= published and tail is not HIDDEN):
        return epoch, published
    async with connection.transaction():
        stream = await connection.fetchrow(_LOCK_STREAM, *key)
        if stream is None:
            return epoch, published
        await connection.execute(_MAKE_PUBLISHED, *key)
        [row] = await connection.fetch(_LOCK_PUBLISHED, *key)
        published = Cursor(row["epoch"], row["sequence"])
        if tail.place <= published and tail is not HIDDEN:  # another replica went on meanwhile
            return stream["epoch"], published
        if await _holds(connection, key, tail):
            return stream["epoch"], tail.place
        # Where nothing was sent of the epoch that `published` is in, readers know the one before it.
        at = await connection.fetchrow(_NEXT_NUMBER, *key, published.sequence) or stream
        unsent = (at["epoch"], at["base"]) == published
        base = Cursor(at["base_epoch"], at["base"]) if unsent else published
        epoch = await connection.fetchval(_EPOCH, *key, tail.place.epoch, *base)
        await _relabel(connection, key, epoch, published.sequence, base)
    _log.error(
        "facts were forgotten: a new epoch begun",
        extra={"topic": key[0], "partition": key[1], "epoch": epoch, "sequence": base.sequence},
    )
    return epoch, Cursor(epoch, published.sequence)


async def _holds(connection: asyncpg.Connection, key: StreamKey, tail: Tail) -> bool:
    """Tell whether the outbox still has the fact that lies at the log's end."""
    row = await connection.fetchrow(_HOLDING, *key, *tail.place)
    return row is not None and unpack(row["body"])[tail.place.sequence - row["first"]].id == tail.id


async def _relabel(connection: asyncpg.Connection, key: StreamKey, epoch: int, sent: int, base: Cursor) -> None:
    """Give the facts above the number `sent` to the new epoch; `published` goes with them, so it cannot fall back."""
    half = await connection.fetchrow(_HALF_SENT, *key, sent)
    if half is not None:
        rest = unpack(half["body"])[sent + 1 - half["first"] :]
        await connection.execute(_CUT, *key, half["epoch"], half["first"], sent + 1, len(rest), pack(rest))
    await connection.execute(_RELABEL, *key, epoch, sent, *base)
    await connection.execute(_PUBLISHED, *key, epoch, sent)
