"""What an operator does with a dead letter: have its fact handled again, or discard it (D4).

A replay runs inside the service, in one unit of work: the letter is locked, its bytes are decoded again and handled
with the envelope that they came with, and the letter is marked in the same transaction. So the effect is stored once,
whoever else tries at the same time, and what it makes has the ids and the trace that it would have had at first.

Positions are not asked: the letter's number was passed when it was buried, and would look like a duplicate. Letters of
one key in one stream are replayed in their order: a later one is held until what stands before it is resolved, unless
it ends pressing. What was parked behind a letter (D2) is taken by the timer of waiting facts, in order, as soon as the
letter is resolved.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from opentelemetry.trace import SpanKind

from shared.bus import deferred, letter_rows
from shared.bus.decoding import Decoded, Raw
from shared.bus.headers import numbers_of
from shared.bus.letter_rows import Acted, ActName, Letter
from shared.bus.outcomes import Dead, Later
from shared.bus.parking import in_order, refuse_delay
from shared.db.faults import is_retriable
from shared.errors import Permanent
from shared.rules.stops import ends_pressing
from shared.telemetry.spans import fact_span

if TYPE_CHECKING:
    from shared.bus.bus import Bus
    from shared.bus.unit_of_work import UnitOfWork

_log = logging.getLogger(__name__)

Became = Literal["replayed", "failed", "discarded", "held", "busy", "resolved", "absent"]


@dataclass(frozen=True, slots=True)
class Act:
    """What became of one letter; of one that stays as it is, or failed again, how it stands now.

    `replayed`, `discarded`: it is resolved. `failed`: it died again and stays open. Nothing was done when it is `held`
    (an earlier open letter of its key, `behind`, comes first; without one, an earlier fact that waits), `busy`
    (somebody else is acting on it), `resolved` already, or `absent`.
    """

    id: UUID
    became: Became
    letter: Letter | None = None
    behind: UUID | None = None


class _StillDead(Permanent):
    """The fact can still not take effect; rolls back whatever was done for it."""

    def __init__(self, failure: Dead, step: str) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.step = step


async def replay(bus: Bus, letter_id: UUID, by: str) -> Act:
    """Have the fact of one open letter handled again, and note that `by` asked for it.

    Raises:
        Exception: whatever `shared.db.faults.is_retriable` knows; only after `CommitUnknown` may it have happened, and
            then the letter's state tells.
    """
    try:
        return await bus.transact(lambda uow: _handle_again(bus, uow, letter_id, by))
    except _StillDead as still:
        why = (still.failure.code, still.failure.detail, still.step)
    except Exception as error:
        if is_retriable(error):
            raise
        _log.warning("a replay failed", exc_info=error, extra={"fact_id": letter_id, "step": "handle"})
        why = ("handler_failed", f"{type(error).__name__}: {error}", "handle")
    return await bus.transact(lambda uow: _note_failure(uow, letter_id, why, by))


async def replay_all(bus: Bus, code: str, topic: str | None, limit: int, by: str) -> list[Act]:
    """Replay the open letters of an error code, each in a transaction of its own, in the order of their streams.

    When the database goes away on the way, what was done stands: asked again, it goes on with the rest.
    """
    async with bus.reading() as connection:
        ids = await letter_rows.open_ids(connection, code, topic, limit)
    return [await replay(bus, letter_id, by) for letter_id in ids]


async def discard(bus: Bus, letter_id: UUID, by: str, reason: str, *, erase: bool) -> Act:
    """Resolve one open letter without effect, for a reason; with `erase` its bytes are removed as well."""

    async def act(uow: UnitOfWork) -> Act:
        return (await _discard(uow, [letter_id], by, reason, erase))[0]

    return await bus.transact(act)


async def discard_all(
    bus: Bus, code: str, topic: str | None, limit: int, by: str, reason: str, *, erase: bool
) -> list[Act]:
    """Discard the open letters of an error code, all in one transaction."""

    async def act(uow: UnitOfWork) -> list[Act]:
        ids = await letter_rows.open_ids(uow.connection, code, topic, limit)
        return await _discard(uow, ids, by, reason, erase)

    return await bus.transact(act)


async def _handle_again(bus: Bus, uow: UnitOfWork, letter_id: UUID, by: str) -> Act:
    letter = await letter_rows.claim(uow.connection, letter_id)
    if letter is None:
        return await _why_not(uow, letter_id)
    assert bus.decoder is not None
    fact = bus.decoder.decode(_raw(letter))
    if fact.incoming is None or not ends_pressing(fact.incoming.fact):
        behind = await letter_rows.earlier_open(uow.connection, letter)
        if behind is not None or await _waits_before(bus, uow, letter):
            return Act(letter_id, "held", letter, behind)
    if isinstance(fact.verdict, Dead):
        raise _StillDead(fact.verdict, "decode")
    if fact.incoming is not None:
        await _take(bus, uow, fact, letter.attempts + 1)
    await letter_rows.mark_replayed(uow.connection, letter, by, uow.now)
    acted = Acted(at=uow.now, by=by, act="replay", reason=None, outcome="replayed")
    await letter_rows.note_acts(uow.connection, [letter_id], acted)
    return Act(letter_id, "replayed")


async def _waits_before(bus: Bus, uow: UnitOfWork, letter: Letter) -> bool:
    """Tell whether facts of its key wait before the letter, in a topic whose order matters here (D2)."""
    if letter.topic not in in_order(bus.service) or letter.key is None or letter.epoch is None:
        return False
    assert letter.sequence is not None
    return await deferred.before(uow.connection, letter.topic, letter.key, (letter.epoch, letter.sequence))


async def _take(bus: Bus, uow: UnitOfWork, fact: Decoded, attempts: int) -> None:
    """Handle one fact inside its own trace; one that now waits for its instant joins the others that wait."""
    raw, incoming = fact.raw, fact.incoming
    assert bus.handle is not None
    assert incoming is not None
    with fact_span(f"replay {incoming.envelope.type}", incoming.envelope.traceparent, SpanKind.CONSUMER):
        (outcome,) = await bus.handle([incoming], uow)
    refuse_delay([incoming], [outcome])
    if isinstance(outcome, Dead):
        raise _StillDead(outcome, "handle")
    if isinstance(outcome, Later):
        await deferred.put_off(uow.connection, [deferred.waiting(raw, incoming, outcome.until, attempts)])


def _raw(letter: Letter) -> Raw:
    """Return the record as it was judged: one of another source has no numbers here, whatever its headers claim."""
    numbers = None if letter.sequence is None else numbers_of(letter.headers)
    return Raw(letter.topic, letter.partition, letter.log_offset, letter.key, letter.headers, letter.body, numbers)


async def _note_failure(uow: UnitOfWork, letter_id: UUID, why: tuple[str, str, str], by: str) -> Act:
    if await letter_rows.note_failure(uow.connection, letter_id, why, by, uow.now):
        acted = Acted(at=uow.now, by=by, act="replay", reason=None, outcome=f"failed: {why[0]}")
        await letter_rows.note_acts(uow.connection, [letter_id], acted)
        return Act(letter_id, "failed", await letter_rows.find(uow.connection, letter_id))
    return await _why_not(uow, letter_id)


async def _discard(uow: UnitOfWork, ids: Sequence[UUID], by: str, reason: str, erase: bool) -> list[Act]:
    done = set(await letter_rows.mark_discarded(uow.connection, ids, by, reason, uow.now))
    if erase:
        await letter_rows.erase(uow.connection, sorted(done))
    name: ActName = "discard_and_erase" if erase else "discard"
    acted = Acted(at=uow.now, by=by, act=name, reason=reason, outcome="discarded")
    await letter_rows.note_acts(uow.connection, sorted(done), acted)
    return [Act(each, "discarded") if each in done else await _why_not(uow, each) for each in ids]


async def _why_not(uow: UnitOfWork, letter_id: UUID) -> Act:
    letter = await letter_rows.find(uow.connection, letter_id)
    if letter is None:
        return Act(letter_id, "absent")
    return Act(letter_id, "busy" if letter.state == "open" else "resolved", letter)
