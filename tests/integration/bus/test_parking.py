"""Behind a fact that waits or lies dead, the others of its customer wait in their order (D2).

Here `card` is made a topic whose order matters. The stop facts are real ones, and so are the tables, the timer of
waiting facts and the operators' acts; where Kafka plays no part, records come from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.bus import parking, replaying
from shared.bus.bus import Bus
from shared.bus.decoding import Decoder, Raw
from shared.bus.handling import BREAKER, HandlerBroken, Handling
from shared.bus.headers import Numbers, Packed, numbers_of, to_headers
from shared.bus.outcomes import DONE, Dead, Later, Outcome
from shared.bus.positions import Position
from shared.bus.rounds import Rounds
from shared.bus.taking import Read, Taking, settle_facts
from shared.bus.timers import run_deferred
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.events.card import PaymentPosted, StopSet
from shared.events.kinds import Fact
from shared.events.registry import CARD, IN_ORDER
from tests.integration.bus.log import Record, packed, sound
from tests.integration.bus.toys import NOON, Toys, count_payments, dead_letters, deciding, fetch, payments

HOUR = timedelta(hours=1)
HANDLES: frozenset[type[Fact]] = frozenset({PaymentPosted, StopSet})


@pytest.fixture(autouse=True)
def _in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(IN_ORDER, "scoring", {"card": "a test"})


@dataclass
class Handler:
    """Counts payments in the order in which it gets them; some fail, die or wait, until that is mended."""

    buggy: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    stops: set[int] = field(default_factory=set)

    async def __call__(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        """Take what can be taken of a batch; a buggy fact fails it whole."""
        outcomes = [self._outcome(item, uow) for item in batch]
        counted = [item for item, outcome in zip(batch, outcomes, strict=True) if outcome is DONE]
        await count_payments([item for item in counted if isinstance(item.fact, PaymentPosted)], uow)
        self.stops |= {item.envelope.sequence for item in counted if isinstance(item.fact, StopSet)}
        return outcomes

    def _outcome(self, item: Incoming, uow: UnitOfWork) -> Outcome:
        number = item.envelope.sequence
        if number in self.buggy:
            raise KeyError("a bug")
        if number in self.dead:
            return Dead("unwanted", "says the toy")
        return Later(NOON + HOUR) if number in self.late and uow.now < NOON + HOUR else DONE


@dataclass
class Desk:
    """A reader without Kafka: what it is given it reads, and everything after that is the real thing."""

    bus: Bus
    handler: Handler
    clock: FrozenClock
    url: str
    handling: Handling
    position: Position = field(default_factory=Position)

    async def read(self, *records: Record) -> None:
        """Read one batch of partition 0."""
        reads: list[Read] = []
        at = self.position
        for record in records:
            numbers = numbers_of(record.headers)
            assert numbers is not None
            raw = Raw("card", 0, at.offset, (record.key or b"").decode(), record.headers, record.value, numbers)
            at = Position(numbers.epoch, numbers.sequence, at.offset + 1, "x")
            reads.append(Read("card", at, Decoder(HANDLES).decode(raw)))
        self.position = (await self.handling.take(reads, {"card": self.position}))["card"]

    async def replay(self, sequence: int) -> str:
        """Have the open letter at this number handled again, as an operator does."""
        return (await replaying.replay(self.bus, (await self.letters())[sequence], "op-1")).became

    async def discard(self, sequence: int) -> None:
        """Resolve the open letter at this number without effect."""
        await replaying.discard(self.bus, (await self.letters())[sequence], "op-1", "a test", erase=False)

    async def letters(self) -> dict[int, Any]:
        """The open letters by their number."""
        rows = await dead_letters(self.url)
        return {row["sequence"]: row["id"] for row in rows if row["state"] == "open"}

    async def waiting(self) -> dict[int, bool]:
        """The numbers of the facts that wait, and whether for an instant."""
        rows = await fetch(self.url, "SELECT sequence, due FROM deferred ORDER BY sequence")
        return {row["sequence"]: row["due"] is not None for row in rows}

    async def release(self) -> None:
        """Let the timer of waiting facts do all that it can."""
        while await run_deferred(self.bus):
            pass

    async def blocked(self) -> set[str]:
        """Whom nobody may act on."""
        async with self.bus.reading() as connection:
            return await self.bus.blocked_keys(connection, ["c-0", "c-1"])

    async def taken(self) -> dict[str, list[int]]:
        """The payments that took effect, by customer, in the order in which they did."""
        return {
            key: [int(each.removeprefix("p-")) for each in found] for key, found in (await payments(self.url)).items()
        }


@asynccontextmanager
async def desk_of(toys: Toys) -> AsyncIterator[Desk]:
    """A reader on the toy's database, with its timer wound by hand."""
    handler, clock = Handler(), FrozenClock(NOON)
    bus = Bus(
        service="scoring",
        settings=toys.stage.settings(toys.read_url),
        clock=clock,
        subscriptions=(CARD,),
        handle=handler,
        handles=HANDLES,
    )
    async with deciding(toys.read_url, 2, "scoring", clock) as transactions:
        bus._pool, bus._transactions = transactions.pool, transactions
        yield Desk(bus, handler, clock, toys.read_url, Handling(Rounds(Taking(transactions, handler, bus.metrics)), 0))


def of(numbers: Sequence[int], customer: str = "c-0") -> list[Record]:
    """Payments of a customer at these places."""
    return [sound(customer, number) for number in numbers]


def stop(customer: str, number: int) -> Record:
    """A stop of a customer at this place."""
    base = packed(customer, number)
    fact = StopSet(customer_id=customer, kind="dispute", set_at=NOON)
    told = Packed(base.id, "arrears.customer.stop_set.v1", base.time, customer, base.traceparent, None, b"")
    return Record(msgspec.json.encode(fact), to_headers(told, "/arrears/ingest", Numbers(7, number, None)), b"")


async def test_what_follows_a_fact_that_dies_in_the_same_batch_waits_and_is_taken_in_order(toys: Toys) -> None:
    """Seen to fail with `overtaking` returning nothing: 3 had taken effect, and the replayed 2 came after it."""
    async with desk_of(toys) as desk:
        desk.handler.dead = {2}
        await desk.read(*of([1, 2, 3]), *of([4], "c-1"), *of([5]))
        assert await desk.taken() == {"c-0": [1], "c-1": [4]}
        assert (list(await desk.letters()), await desk.waiting()) == ([2], {3: False, 5: False})
        await desk.read(*of([6]), *of([7], "c-1"))
        await desk.release()
        assert await desk.taken() == {"c-0": [1], "c-1": [4, 7]}
        assert await desk.replay(2) == "failed"
        await desk.release()
        assert await desk.waiting() == {3: False, 5: False, 6: False}
        desk.handler.dead = {5}
        assert await desk.replay(2) == "replayed"
        assert await desk.blocked() == {"c-0"}  # what was told of the customer is not all known yet
        await desk.release()
        assert await desk.taken() == {"c-0": [1, 2, 3], "c-1": [4, 7]}
        await desk.discard(5)
        await desk.release()
        assert await desk.taken() == {"c-0": [1, 2, 3, 6], "c-1": [4, 7]}
        assert (await desk.waiting(), await desk.blocked()) == ({}, set())


async def test_what_follows_a_fact_with_a_bug_or_one_that_nobody_can_read_waits(toys: Toys) -> None:
    """Seen to fail with the queues not asked for: after halving, the rest of the batch went on."""
    async with desk_of(toys) as desk:
        desk.handler.buggy = {2}
        unreadable = Record(b"{", sound("c-1", 4).headers, b"c-1")
        await desk.read(*of([1, 2, 3]), unreadable, *of([5], "c-1"), *of([6]))
        assert await desk.taken() == {"c-0": [1]}
        assert await desk.waiting() == {3: False, 5: False, 6: False}
        desk.handler.buggy = set()
        await desk.replay(2)
        await desk.discard(4)
        await desk.release()
        assert await desk.taken() == {"c-0": [1, 2, 3, 6], "c-1": [5]}


async def test_what_follows_a_fact_that_waits_for_an_instant_waits_with_it(toys: Toys) -> None:
    """A head that waits once more stays the head. Seen to fail with a parked fact claimed whatever stands before it."""
    async with desk_of(toys) as desk:
        desk.handler.late = {1}
        await desk.read(*of([1, 2]), *of([3], "c-1"))
        await desk.read(*of([4]))
        await desk.release()
        assert await desk.taken() == {"c-1": [3]}
        assert (await desk.waiting(), await desk.blocked()) == ({1: True, 2: False, 4: False}, {"c-0"})
        desk.clock.set(NOON + HOUR)
        desk.handler.dead = {2}
        await desk.release()
        assert await desk.taken() == {"c-0": [1], "c-1": [3]}
        assert (list(await desk.letters()), await desk.waiting()) == ([2], {4: False})


async def test_a_stop_is_never_put_off_whatever_waits_before_it(toys: Toys) -> None:
    """Nor held back when it is replayed itself; and nobody acts on the customer meanwhile.

    Seen to fail with `ends_pressing` false for all: the stop stood in the queue. A handler that puts one off is wrong.
    """
    async with desk_of(toys) as desk:
        desk.handler.dead = {1}
        await desk.read(*of([1, 2]), stop("c-0", 3))
        desk.handler.buggy = {4}
        await desk.read(stop("c-0", 4), *of([5]))
        assert (desk.handler.stops, await desk.blocked()) == ({3}, {"c-0"})
        desk.handler.buggy = set()
        assert await desk.replay(4) == "replayed"
        assert desk.handler.stops == {3, 4}
        desk.handler.late = {6}
        await desk.read(stop("c-1", 6))
        assert list(await desk.letters()) == [1, 6]
        assert await desk.waiting() == {2: False, 5: False}


async def test_two_replicas_release_a_queue_in_its_order_between_them(toys: Toys) -> None:
    """Seen to fail with a parked fact claimed whatever waits before it: the second replica took the next one."""
    async with desk_of(toys) as desk, desk_of(toys) as other:
        desk.handler.dead = {1}
        await desk.read(*of(range(1, 13)))
        desk.handler.dead = set()
        assert await desk.replay(1) == "replayed"
        await asyncio.gather(desk.release(), other.release(), desk.release(), other.release())
        assert (await desk.taken(), await desk.waiting()) == ({"c-0": list(range(1, 13))}, {})


async def test_a_letter_behind_facts_that_wait_is_held_until_they_are_taken(toys: Toys) -> None:
    async with desk_of(toys) as desk:
        desk.handler.dead = {1}
        await desk.read(*of([1, 2]), Record(b"{", sound("c-0", 3).headers, b"c-0"), *of([4]))
        await desk.discard(1)
        assert await desk.replay(3) == "held"
        await desk.release()
        assert (await desk.taken(), await desk.waiting()) == ({"c-0": [2]}, {4: False})
        assert await desk.replay(3) == "failed"


async def test_parked_facts_do_not_hide_from_the_breaker_that_everything_fails(toys: Toys) -> None:
    """Seen to fail: a batch of which all was parked counted as handled, and the partition never stopped."""
    async with desk_of(toys) as desk:
        desk.handler.buggy = set(range(1, 100))
        for number in range(1, 2 * BREAKER - 2, 2):
            await desk.read(*of([number, number + 1], f"c-{number}"))
        assert len(await desk.letters()) == len(await desk.waiting()) == BREAKER - 1
        with pytest.raises(HandlerBroken):
            await desk.read(*of([2 * BREAKER - 1], "c-0"))


async def test_nothing_is_asked_while_nothing_waits(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement that moves the positions tells. Seen to fail with the answer always yes."""
    monkeypatch.setattr(parking, "_QUEUES", "SELECT $1::text[], $2::text[], 1 / 0")
    async with desk_of(toys) as desk:
        await desk.read(*of([1, 2]))
        desk.handler.dead = {3}
        await desk.read(*of([3]))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await desk.read(*of([4]))


async def test_a_fact_parked_while_the_last_before_it_is_taken_goes_next_by_itself(toys: Toys) -> None:
    """The reader looks at the queue before the release commits, and stores behind what is no longer there."""
    async with desk_of(toys) as desk:
        desk.handler.dead = {1}
        await desk.read(*of([1]))
        await desk.discard(1)
        await desk.read(*of([2]))
        await desk.bus.transact(_put_behind)
        await desk.release()
        assert (await desk.taken(), await desk.waiting()) == ({"c-0": [2, 3]}, {})


async def _put_behind(uow: UnitOfWork) -> None:
    """Store payment 3 as a reader does that still sees one before it."""
    record = sound("c-0", 3)
    raw = Raw("card", 0, 9, "c-0", record.headers, record.value, numbers_of(record.headers))
    fact = Decoder(HANDLES).decode(raw)
    await settle_facts([fact], uow, count_payments, parked={0})


FAULTS = st.dictionaries(st.integers(1, 11), st.sampled_from(["buggy", "dead", "late"]), min_size=1, max_size=5)
STEPS = st.one_of(
    st.tuples(st.just("read"), st.integers(2, 6)),
    st.tuples(st.sampled_from(["mend", "replay", "discard"]), st.integers(1, 12)),
    st.tuples(st.sampled_from(["release", "hour"]), st.just(0)),
)
STREAM = [sound(f"c-{number % 2}", number) for number in range(1, 13)]


# Not shrunk: an example is short enough to read, and takes half a second of a database.
@settings(
    max_examples=20,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(FAULTS, st.lists(STEPS, min_size=5, max_size=20))
async def test_each_customers_facts_take_effect_in_the_order_of_the_stream(
    toys: Toys, faults: dict[int, str], steps: list[tuple[str, int]]
) -> None:
    """Whatever fails, dies, waits, is replayed and discarded in whatever order; and none is lost or taken twice.

    Seen to fail with each of `overtaking`, `queues_of` and the two conditions of `deferred.claim` taken away.
    """
    async with desk_of(toys) as desk:
        await desk.bus.pool.execute("TRUNCATE dead_letter, dead_letter_act, deferred, toy, outbox_segment")
        await desk.bus.pool.execute("UPDATE inbox_position SET epoch = 0, sequence = 0, log_offset = 0")
        for number, fault in faults.items():
            getattr(desk.handler, fault).add(number)
        left, discarded = list(STREAM), set[int]()
        for name, number in steps:
            await _step(desk, name, number, left, discarded)
            for found in (await desk.taken()).values():
                assert found == sorted(set(found))
        desk.handler.buggy, desk.handler.dead = set(), set()
        desk.clock.set(NOON + HOUR)
        if left:
            await desk.read(*left)
        await desk.release()
        while letters := await desk.letters():
            await desk.replay(min(letters))
            await desk.release()
        expected = {f"c-{key}": [n for n in range(1, 13) if n % 2 == key and n not in discarded] for key in (0, 1)}
        assert await desk.taken() == {key: numbers for key, numbers in expected.items() if numbers}
        assert (await desk.waiting(), await desk.blocked()) == ({}, set())


async def _step(desk: Desk, name: str, number: int, left: list[Record], discarded: set[int]) -> None:
    if name == "read" and left:
        batch = left[:number]
        del left[:number]
        await desk.read(*batch)
    elif name == "mend":
        desk.handler.buggy.discard(number)
        desk.handler.dead.discard(number)
    elif name == "release":
        await desk.release()
    elif name == "hour":
        desk.clock.set(NOON + HOUR)
    elif letters := sorted(await desk.letters()):
        chosen = letters[number % len(letters)]
        if name == "replay":
            await desk.replay(chosen)
        elif name == "discard":
            await desk.discard(chosen)
            discarded.add(chosen)
