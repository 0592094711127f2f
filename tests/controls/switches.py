"""One switch for each guarantee: it takes the guarantee out of this process, as if nobody had written it.

A switch changes production's own functions and statements from outside; nothing in production knows of it. It raises
where it finds nothing to take away, so a switch that has lost its hold is seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import Phase
from msgspec import structs

from services.notify import hand_over, sending
from services.notify.domain import delivery
from services.notify.domain.decision import Send, still_owing
from services.notify.domain.delivery import Answer, AnswerLost, Next
from services.notify.domain.model import Customer, Reminder
from services.notify.store import customers, notices
from shared.bus import outbox, positions, publisher, streams, taking
from shared.bus.bus import Bus
from shared.bus.decoding import Decoded
from shared.bus.headers import Numbers
from shared.bus.outcomes import Dead, Outcome
from shared.bus.parking import Parked
from shared.bus.positions import Move, Position, Stopped
from shared.bus.reading import PartitionLoop
from shared.bus.streams import Segment, StreamKey
from shared.bus.taking import BatchHandler
from shared.bus.unit_of_work import UnitOfWork
from shared.events.registry import Topic
from shared.web import idempotency

Switch = Callable[[pytest.MonkeyPatch], None]

# What a writer does who takes numbers from a sequence: no lock, so number order is not commit order.
_UNLOCKED = """
WITH wanted AS (
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bytea[])
    AS w (topic, partition, first, count, body)
), rows AS (
    INSERT INTO outbox_stream (topic, partition, epoch, head, base_epoch, base, timeline)
    SELECT topic, partition, 1, 0, 0, 0, '' FROM wanted ON CONFLICT DO NOTHING
)
INSERT INTO outbox_segment (topic, partition, epoch, first, count, body, appended_at, base_epoch, base)
SELECT topic, partition, 1, first, count, body, clock_timestamp(), 0, 0 FROM wanted
"""


def cut(text: str, part: str, instead: str) -> str:
    """Return `text` with every `part` replaced.

    Raises:
        LookupError: it has no such part, so there is nothing to take away.
    """
    if part not in text:
        raise LookupError(f"{part!r} is not there any more")
    return text.replace(part, instead)


def _without(patch: pytest.MonkeyPatch, module: object, name: str, part: str, instead: str) -> None:
    patch.setattr(module, name, cut(getattr(module, name), part, instead))


def fence(patch: pytest.MonkeyPatch) -> None:
    """A position moves, whatever its old value."""
    old_value = "(p.epoch, p.sequence, p.log_offset) = (w.old_epoch, w.old_sequence, w.old_offset)"
    _without(patch, positions, "_MOVE", old_value, "true")


def fence_first(patch: pytest.MonkeyPatch) -> None:
    """A position moves after the facts were handled."""
    move, settle_facts = positions.move, taking.settle_facts
    put_off: dict[int, tuple[Any, ...]] = {}

    async def moved_later(connection: asyncpg.Connection, *how: Any) -> bool:
        put_off[id(connection)] = (connection, *how)
        return False

    async def settled_then_moved(
        facts: Sequence[Decoded], uow: UnitOfWork, handle: BatchHandler, failure: Dead | None, **rest: Any
    ) -> list[Outcome | Parked]:
        outcomes = await settle_facts(facts, uow, handle, failure, **rest)
        await move(*put_off.pop(id(uow.connection)))
        return outcomes

    patch.setattr(positions, "move", moved_later)
    patch.setattr(taking, "settle_facts", settled_then_moved)


def one_transaction(patch: pytest.MonkeyPatch) -> None:
    """A position moves in a transaction of its own, before the effect's."""
    move = positions.move

    async def moved_alone(connection: asyncpg.Connection, moves: Sequence[Move]) -> None:
        await move(connection, moves)
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")

    patch.setattr(positions, "move", moved_alone)


def stream_lock(patch: pytest.MonkeyPatch) -> None:
    """Numbers are given without a lock that is held to the commit; a number that is rolled back stays given."""
    heads: dict[StreamKey, int] = defaultdict(int)

    async def append(connection: asyncpg.Connection, facts: dict[StreamKey, list[Any]]) -> list[Segment]:
        found = []
        for (topic, partition), told in facts.items():
            found.append(Segment(topic, partition, 1, heads[topic, partition] + 1, (0, 0), told))
            heads[topic, partition] += len(told)
        rows = [(one.topic, one.partition, one.first, len(one.facts), streams._encode(one.facts)) for one in found]
        await connection.execute(_UNLOCKED, *(list(column) for column in zip(*rows, strict=True)))
        return found

    patch.setattr("shared.bus.unit_of_work.append", append)


def prefix(patch: pytest.MonkeyPatch) -> None:
    """A number is sent, whether or not the one before it is known to be in the log."""
    _in_haste(patch)
    patch.setattr(publisher, "_follows", lambda _segment, _cursor: True)


def duplicates(patch: pytest.MonkeyPatch) -> None:
    """A number at or below the position is taken once more."""
    _judged(patch, lambda verdict: verdict == "duplicate")


def gaps(patch: pytest.MonkeyPatch) -> None:
    """A number further on is taken, as if nothing were missing."""
    _judged(patch, lambda verdict: isinstance(verdict, Stopped) and verdict.reason.startswith("gap"))


def _judged(patch: pytest.MonkeyPatch, takes: Callable[[object], bool]) -> None:
    judge = positions.judge

    def judged(position: Position, numbers: Numbers, fact_id: str, **how: bool) -> object:
        verdict = judge(position, numbers, fact_id, **how)
        return "take" if takes(verdict) else verdict

    _in_haste(patch)
    patch.setattr(positions, "judge", judged)


def earlier_epochs(patch: pytest.MonkeyPatch) -> None:
    """A position forgets where the epochs before it ended."""
    taken = positions.taken

    def forgets(position: Position, numbers: Numbers, fact_id: str, offset: int) -> Position:
        return structs.replace(taken(position, numbers, fact_id, offset), seen={})

    _in_haste(patch)
    patch.setattr(positions, "taken", forgets)


def _in_haste(patch: pytest.MonkeyPatch) -> None:
    """The first counterexample will do, of whatever size."""
    patch.setattr("tests.model.test_bus_model.PHASES", (Phase.generate,))


def monotone_published(patch: pytest.MonkeyPatch) -> None:
    """`published` takes whatever is written last."""
    _without(patch, outbox, "_RECORD", "WHERE (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence)", "")


def published_in_its_epoch(patch: pytest.MonkeyPatch) -> None:
    """`published` is written by a term of whatever epoch."""
    _without(patch, outbox, "_RECORD", "WHERE s.epoch = d.term", "")


def version_guard(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the guarded upsert wrote every row."""

    def never_asked(*, sent: int, returned: int) -> None:
        """Nothing to say."""

    patch.setattr("tests.integration.bus.toys.all_saved", never_asked)


def idle_reload(patch: pytest.MonkeyPatch) -> None:
    """A reader to whom nothing comes does not look at its rows."""

    async def never_looks(_: PartitionLoop) -> None:
        """Nothing to compare."""

    patch.setattr(PartitionLoop, "_look", never_looks)


def barrier(patch: pytest.MonkeyPatch) -> None:
    """Who is about to send does not ask how far was read."""

    async def open_at_once(_: Bus, partition: int, topics: Collection[Topic]) -> datetime:
        return datetime.now(UTC)

    patch.setattr(Bus, "barrier", open_at_once)


def decided_again(patch: pytest.MonkeyPatch) -> None:
    """A reminder that fell due is sent, whatever became known since."""

    def sends(reminder: Reminder, customer: Customer, *_: object) -> Send:
        assert customer.reach is not None
        owing = still_owing(reminder, customer)
        return Send(
            address=customer.reach.mobiles[0], zone="Asia/Shanghai", reach=customer.reach, owing=owing, ruled_by=()
        )

    patch.setattr(sending, "decide", sends)


def decided_under_lock(patch: pytest.MonkeyPatch) -> None:
    """A reminder is decided on what is known of its customer, whoever is about to change it."""
    _without(patch, notices, "_LOCK_CUSTOMERS", "FOR UPDATE SKIP LOCKED", "")
    _without(patch, customers, "_LOAD", "FOR UPDATE", "")


def in_hand_first(patch: pytest.MonkeyPatch) -> None:
    """A message is handed over before its notice says that it is on its way."""

    async def not_yet(*_: object, **__: object) -> None:
        """Nothing is written."""

    patch.setattr(notices, "claim", not_yet)


def lost_answers(patch: pytest.MonkeyPatch) -> None:
    """A message of which nobody knows whether it left is taken for one that did not."""
    judged = delivery.next_state

    def again(answer: Answer, *, to_colleague: bool) -> Next:
        return "due" if isinstance(answer, AnswerLost) else judged(answer, to_colleague=to_colleague)

    patch.setattr(hand_over, "next_state", again)


def keys_of_commands(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a command was sent before."""

    async def never_known(_connection: object, _command: object) -> None:
        """Nothing is found."""

    patch.setattr(idempotency, "recall", never_known)
