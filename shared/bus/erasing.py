"""An erasure reaches what the bus itself keeps of the key, dead letters and waiting facts, in one transaction (C6).

The handler erases what its service keeps; here go the bytes that never became state. Only what stands before the
erasure in its stream goes: a newer fact begins anew, and may wait or lie dead as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from shared.bus import letter_rows
from shared.bus.dead_letters import headers_from_json
from shared.bus.headers import numbers_of
from shared.bus.letter_rows import Acted
from shared.bus.outcomes import DONE, Outcome, Skip
from shared.bus.taking import BatchHandler
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.kinds import Erasure

BY: Final = "erasure"
REASON: Final = "资料已按要求删除。 The data were erased on request."

_LETTERS = """
SELECT l.id, l.state = 'open' AND l.sequence IS NOT NULL AS resolves
FROM dead_letter l JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
    AS e (topic, key, epoch, sequence) ON (l.topic, l.key) = (e.topic, e.key)
WHERE l.sequence IS NULL OR (l.epoch, l.sequence) < (e.epoch, e.sequence)
ORDER BY l.id FOR UPDATE OF l
"""
_WAITING = """
SELECT w.id, w.topic, w.key, w.headers FROM deferred w
JOIN unnest($1::text[], $2::text[]) AS e (topic, key) USING (topic, key) ORDER BY w.id FOR UPDATE OF w
"""
_FORGET = "DELETE FROM deferred WHERE id = ANY ($1::uuid[])"

_Place = tuple[int, int]


def with_erasing(handle: BatchHandler) -> BatchHandler:
    """Return the handler that also erases what the bus keeps of the keys that were erased."""

    async def handle_and_erase(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        outcomes = await handle(batch, uow)
        erased = _erased(batch, outcomes)
        if erased:
            await _erase_letters(uow.connection, erased, uow.now)
            await _forget_waiting(uow.connection, erased)
        return outcomes

    return handle_and_erase


def _erased(batch: Sequence[Incoming], outcomes: Sequence[Outcome]) -> dict[tuple[str, str], _Place]:
    """Return topic and key of each erasure that took effect, now or before, and the last one's place."""
    places: dict[tuple[str, str], _Place] = {}
    for item, outcome in zip(batch, outcomes, strict=False):  # a handler that forgets one is told so by its caller
        if isinstance(item.fact, Erasure) and (outcome is DONE or isinstance(outcome, Skip)):
            about = (item.envelope.topic, item.key)
            places[about] = max(places.get(about, (0, 0)), (item.envelope.epoch, item.envelope.sequence))
    return places


async def _erase_letters(connection: asyncpg.Connection, erased: dict[tuple[str, str], _Place], now: datetime) -> None:
    """Empty the letters. An open one of ours is discarded: its fact is older, so it would change nothing any more.

    One without numbers is a stranger's: it stays for a person to look at.
    """
    rows = await connection.fetch(
        _LETTERS,
        [topic for topic, _ in erased],
        [key for _, key in erased],
        [epoch for epoch, _ in erased.values()],
        [sequence for _, sequence in erased.values()],
    )
    await letter_rows.erase(connection, [row["id"] for row in rows])
    discarded = [row["id"] for row in rows if row["resolves"]]
    await letter_rows.mark_discarded(connection, discarded, BY, REASON, now)
    acted = Acted(at=now, by=BY, act="discard", reason=REASON, outcome="discarded")
    await letter_rows.note_acts(connection, discarded, acted)


async def _forget_waiting(connection: asyncpg.Connection, erased: dict[tuple[str, str], _Place]) -> None:
    rows = await connection.fetch(_WAITING, [topic for topic, _ in erased], [key for _, key in erased])
    older = [row["id"] for row in rows if _place(row["headers"]) < erased[row["topic"], row["key"]]]
    await connection.execute(_FORGET, older)


def _place(headers: str) -> _Place:
    """Return where a waiting fact stands in its stream; what waits was numbered, or it would have been buried."""
    numbers = numbers_of(headers_from_json(headers))
    return (0, 0) if numbers is None else (numbers.epoch, numbers.sequence)
