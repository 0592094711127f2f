"""What a reader notes of histories that meet in one log: forks, and facts of an earlier epoch (E5).

A fork: a writer's database lost facts that this service had taken already, and a new epoch goes on from before them.
Nothing is refused, since what it decides now is what holds; but a person must learn what the writer has forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from shared.bus.headers import Numbers
from shared.bus.positions import Position
from shared.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class Fork(Struct, frozen=True, gc=False):
    """A new epoch goes on from (`base_epoch`, `base`), and up to (`had_epoch`, `had`) had been taken."""

    topic: str
    epoch: int
    base_epoch: int
    base: int
    had_epoch: int
    had: int

    @staticmethod
    def of(topic: str, numbers: Numbers, had: Position) -> Fork:
        """Return the fork at the first record of an epoch."""
        base_epoch, base = numbers.base or (0, 0)
        return Fork(topic, numbers.epoch, base_epoch, base, had.epoch, had.sequence)


class Stale(Struct, frozen=True, gc=False):
    """A fact of an earlier epoch, dropped: a zombie's, or read again after a fork."""

    topic: str
    epoch: int
    sequence: int


_FORKS = """
INSERT INTO inbox_fork (topic, partition, epoch, base_epoch, base, had_epoch, had, at)
SELECT f.topic, $1, f.epoch, f.base_epoch, f.base, f.had_epoch, f.had, clock_timestamp()
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS f (topic, epoch, base_epoch, base, had_epoch, had)
ON CONFLICT DO NOTHING
"""
# One row an epoch, whatever was dropped of it: a zombie may send a million. Read again from the log's start, the same
# facts count again.
_STALE = """
INSERT INTO inbox_stale AS s (topic, partition, epoch, first, last, count, first_at, last_at)
SELECT f.topic, $1, f.epoch, min(f.sequence), max(f.sequence), count(*), clock_timestamp(), clock_timestamp()
FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS f (topic, epoch, sequence)
GROUP BY f.topic, f.epoch ORDER BY f.topic, f.epoch
ON CONFLICT (topic, partition, epoch) DO UPDATE SET first = least(s.first, excluded.first),
    last = greatest(s.last, excluded.last), count = s.count + excluded.count, last_at = excluded.last_at
"""


async def note(connection: asyncpg.Connection, partition: int, odd: Sequence[Fork | Stale]) -> None:
    """Store what is odd about a batch; called under the lock of its positions."""
    forked = [each for each in odd if isinstance(each, Fork)]
    stale = [each for each in odd if isinstance(each, Stale)]
    if forked:
        await connection.execute(
            _FORKS,
            partition,
            [fork.topic for fork in forked],
            [fork.epoch for fork in forked],
            [fork.base_epoch for fork in forked],
            [fork.base for fork in forked],
            [fork.had_epoch for fork in forked],
            [fork.had for fork in forked],
        )
    if stale:
        await connection.execute(
            _STALE,
            partition,
            [each.topic for each in stale],
            [each.epoch for each in stale],
            [each.sequence for each in stale],
        )


def alarm(partition: int, odd: Sequence[Fork | Stale], metrics: Metrics) -> None:
    """Say that forks were taken, after they were stored."""
    for fork in odd:
        if isinstance(fork, Fork):
            metrics.forks.labels(fork.topic).inc()
            _log.error(
                "stream forked",
                extra={
                    "topic": fork.topic,
                    "partition": partition,
                    "epoch": fork.epoch,
                    "base": f"{fork.base_epoch}:{fork.base}",
                    "had": f"{fork.had_epoch}:{fork.had}",
                },
            )
