"""The stateful model: writers, publishers, a log and readers of one stream, and whatever may befall them.

Nobody holds a lease here, so a zombie, two owners and a rebalance are only orders of steps. What can be had of the
bus itself is the bus itself: the publisher's memory, what follows what, the records and their headers, the chain of
stored segments, the verdicts on numbers. What SQL does is said in `databases.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.bus import positions, publisher
from shared.bus.headers import Headers, numbers_of, text_of
from shared.bus.positions import Position, Stopped
from shared.bus.publisher import Publisher, _Stream
from shared.bus.streams import Segment
from tests.model.databases import Consumer, Producer
from tests.unit.bus.build import SOURCE

TWO: Final = st.integers(0, 1)
FATES: Final = st.sampled_from(["answered", "answered", "answered", "unanswered", "late", "lost"])
FROM: Final = st.sampled_from(["hint", "hint", "start", "anywhere"])
_TAKEN: Final = ("take", "fork")
_STRANGER: Final[Headers] = [("x", b"hello")]


class Publishing(_Stream):
    """What one publishing process remembers. `cut`: its connection to the database is gone, and it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False


@dataclass
class Reading:
    """What one reading process remembers: its view of the row, and a batch that is not committed yet."""

    position: Position | None = None
    batch: tuple[Position, list[str]] | None = None
    rewound: bool = False


@dataclass
class Backups:
    """What was put aside of both databases, and which facts a restore forgot."""

    producer: Producer | None = None
    consumer: Consumer | None = None
    needed: bool = False
    forgotten: set[str] = field(default_factory=set)


class Bus(RuleBasedStateMachine):
    """One stream and its processes; every rule is one step that one of them takes, or a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.producer, self.consumer = Producer(), Consumer()
        self.publishing = [Publishing(), Publishing()]
        self.reading = [Reading(), Reading()]
        self.log: list[Headers] = []
        self.under_way: list[list[Headers]] = []
        self.told_later: list[Segment] = []
        self.open: Segment | None = None
        self.backups = Backups()
        self.clock = 1
        self.made = 0
        self.wrecked = False

    # --- writers: one at a time has the stream's lock, until its commit or rollback

    @precondition(lambda self: self.open is None)
    @rule(count=st.integers(1, 3))
    def append(self, count: int) -> None:
        """A transaction takes numbers."""
        self.open = self.producer.numbered([f"f{self.made + number}" for number in range(1, count + 1)])
        self.made += count

    @precondition(lambda self: self.open is not None)
    @rule(told=st.sampled_from([0, 1, None]), later=st.booleans())
    def commit(self, told: int | None, later: bool = False) -> None:
        """It commits; `told` is the publisher that learns of it in memory, None when the answer was lost."""
        assert self.open is not None
        self.producer.commit(self.open)
        if told is not None:
            (self.told_later.append if later else self.publishing[told].remember)(self.open)
        self.open = None

    @precondition(lambda self: self.open is None)
    @rule()
    def raise_epoch(self) -> None:
        self.clock += 1
        self.producer.raise_epoch(self.clock)

    @precondition(lambda self: self.open is None)
    @rule(count=st.integers(1, 3), told=st.sampled_from([0, 1]))
    def write(self, count: int, told: int) -> None:
        """A transaction as most are."""
        self.append(count)
        self.commit(told)

    # --- publishers

    def _begin_term(self, me: Publishing) -> None:
        me.cut = False
        me.epoch, me.cursor = self.producer.epoch, self.producer.published

    @rule(who=TWO, fate=FATES, limit=st.integers(1, 4))
    def publish(self, who: int, fate: str, limit: int) -> None:
        """Send what is next, out of memory or of the table; it comes at once, later or never, answered or not."""
        me = self.publishing[who]
        if me.cursor is None:
            self._begin_term(me)
        segments = self._next(me)
        if not segments or me.cursor is None:
            return
        records, ends = publisher.records_above(segments, me.cursor, SOURCE)
        batch: list[Headers] = [headers for _, _, headers in records[:limit]]
        if fate == "late":
            self.under_way.append(batch)
        elif fate != "lost":
            self.log += batch
        if fate == "answered":
            me.cursor = ends[:limit][-1]
        else:
            me.forget()

    def _next(self, me: Publishing) -> list[Segment]:
        found = Publisher._from_memory(None, me)  # type: ignore[arg-type]  # it looks at the stream alone
        if found:
            return found
        if me.cut:  # the table is asked over a connection that is gone
            me.forget()
            return []
        assert me.cursor is not None
        found = self.producer.above(me.cursor)
        if not found or publisher._follows(found[0], me.cursor):
            return found
        assert self.producer.published > me.cursor or me.epoch != self.producer.epoch, "outbox hole"
        me.forget()
        return []

    @rule(who=TWO)
    def record(self, who: int) -> None:
        """What was acknowledged is recorded, if the term is still of the stream's epoch."""
        me = self.publishing[who]
        if me.cursor is not None and not self.producer.record(me.cursor, me.epoch):
            me.forget()

    @rule(who=TWO)
    def publish_and_record(self, who: int) -> None:
        """A send as most are."""
        self.publish(who, "answered", 100)
        self.record(who)

    @precondition(lambda self: self.under_way or self.told_later)
    @rule(who=TWO)
    def something_is_late(self, who: int) -> None:
        """A batch arrives, or a publisher learns of a commit, long after it."""
        if self.under_way:
            self.log += self.under_way.pop(0)
        if self.told_later:
            self.publishing[who].remember(self.told_later.pop(0))

    # --- readers

    @rule(who=TWO, count=st.integers(1, 8), begin=FROM, where=st.integers(0, 100))
    def read(self, who: int, count: int, begin: str, where: int) -> None:
        """Read records from the hint, from the log's start, or wherever a wrong hint points."""
        me = self.reading[who]
        if me.batch is not None:
            return
        if me.position is None:
            me.position, me.rewound = self.consumer.position, False
        start = max(me.position.offset - 1, 0) if begin == "hint" else where % (len(self.log) + 1)
        if begin == "start" or me.rewound:
            start, count = 0, len(self.log)
        at, effects, stopped = self._judged(me.position, start, count)
        if at != me.position:
            me.batch = (at, effects)
        elif stopped is None:
            return
        elif start > 0:
            me.rewound = True
        elif me.position == self.consumer.position:
            assert self.wrecked, f"a stop although nothing was lost: {stopped.reason}"
        else:
            me.position = None

    def _judged(self, at: Position, start: int, count: int) -> tuple[Position, list[str], Stopped | None]:
        effects: list[str] = []
        for offset, headers in enumerate(self.log[start : start + count], start):
            numbers, name = numbers_of(headers), text_of(headers, "ce_id") or ""
            if numbers is None:
                at = positions.passed(at, offset)
                continue
            verdict = positions.judge(at, numbers, name)
            if isinstance(verdict, Stopped):
                return at, effects, verdict
            if verdict in _TAKEN:
                effects.append(name)
                at = positions.taken(at, numbers, name, offset)
            else:
                at = positions.passed(at, offset)
        return at, effects, None

    @rule(who=TWO, answered=st.booleans())
    def take(self, who: int, answered: bool) -> None:
        """Commit a batch; whoever was overtaken, or hears nothing, begins again from the row."""
        me = self.reading[who]
        if me.batch is None or me.position is None:
            return
        new, effects = me.batch
        done = self.consumer.take(me.position, new, effects)
        self.reading[who] = Reading(new if done and answered else None)

    @rule(who=TWO, count=st.integers(1, 20))
    def read_and_take(self, who: int, count: int) -> None:
        """A batch as most are."""
        self.read(who, count, "hint", 0)
        self.take(who, answered=True)

    @precondition(lambda self: self.open is None)
    @rule(count=st.integers(1, 3), who=TWO)
    def facts_travel(self, count: int, who: int) -> None:
        """All goes well from the decision to the effect."""
        self.write(count, who)
        self.publish_and_record(who)
        self.read_and_take(who, 20)

    # --- what befalls processes, databases and log

    @rule(what=st.sampled_from(["writer", "publisher", "reader"]), who=TWO)
    def somebody_dies(self, what: str, who: int) -> None:
        """A process forgets everything; a transaction that was open is rolled back."""
        if what == "writer":
            self.open = None
        elif what == "publisher":
            self.publishing[who] = Publishing()
        else:
            self.reading[who] = Reading()

    @precondition(lambda self: self.open is None and self.producer.truth)
    @rule()
    def back_up_producer(self) -> None:
        """Put a copy aside; it stays until it was needed, so that much happens in between."""
        if self.backups.producer is None or self.backups.needed:
            self.backups.producer, self.backups.needed = self.producer.copy(), False

    @precondition(lambda self: self.backups.producer is not None)
    @rule(zombie=st.sampled_from([0, 1, None]))
    def restore_producer(self, zombie: int | None) -> None:
        """Its processes go on with what they remember, `zombie` at once; the restored database begins a new epoch."""
        assert self.backups.producer is not None
        restored, self.backups.needed = self.backups.producer.copy(), True
        self.backups.forgotten |= set(self.producer.truth) - set(restored.truth)
        self.producer, self.open = restored, None
        self.raise_epoch()
        for each in self.publishing:
            each.cut = True
        if zombie is not None:
            self.record(zombie)

    @rule(again=st.booleans())
    def back_up_or_restore_consumer(self, again: bool) -> None:
        """The position goes back together with what took effect."""
        if not again:
            self.backups.consumer = self.consumer.copy()
        elif self.backups.consumer is not None:
            self.consumer = self.backups.consumer.copy()

    @rule(lost=st.integers(0, 9))
    def log_is_not_the_bus_own(self, lost: int) -> None:
        """A stranger writes to it; or a broker loses the last that it had acknowledged: whoever needs it must stop."""
        if lost < 9:
            self.log.append(_STRANGER)
        elif self.log:
            del self.log[-3:]
            self.wrecked = True

    # --- what must hold

    @invariant()
    def nothing_twice(self) -> None:
        assert len(set(self.consumer.effects)) == len(self.consumer.effects), "twice"

    @invariant()
    def in_order_and_without_a_hole(self) -> None:
        """What holds today took effect in its order, from the first on; the rest is what a restore forgot."""
        truth = set(self.producer.truth)
        held = [name for name in self.consumer.effects if name in truth]
        assert held == self.producer.truth[: len(held)], "out of order, or passed over"

    @invariant()
    def only_what_was_committed(self) -> None:
        assert set(self.consumer.effects) <= {*self.producer.truth, *self.backups.forgotten}, "never committed"

    def teardown(self) -> None:
        """When the faults are over, everything arrives; if the log itself lost something, nothing wrong does."""
        self.open = None
        self.publishing, self.reading = [Publishing(), Publishing()], [Reading(), Reading()]
        for _ in range(2 * len(self.producer.segments) + 1):
            self.publish(0, "answered", 1_000)
            self.record(0)
        for _ in range(2):  # a wrong hint may have to be found out first
            self.read_and_take(0, len(self.log) + 1)
        self.nothing_twice()
        self.in_order_and_without_a_hole()
        if not self.wrecked:
            assert not self.producer.segments, "left in the outbox"
            assert set(self.producer.truth) <= set(self.consumer.effects), "lost"
