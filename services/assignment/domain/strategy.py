"""The collection plan as data: which step follows which, and how long the customer has each time.

A strategy is dated and checked whole when it is loaded: a message names the row, the fault and the remedy, so that a
person can mend the file. Nothing here reads a file or a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Final, Literal, cast

from services.assignment.domain.rows import Row, StrategyError
from shared.events.cases import Queue
from shared.events.kinds import Bucket, Grade, MessageChannel

BUCKETS: Final[tuple[Bucket, ...]] = ("M1", "M2", "M3", "M4", "M5", "M6", "M7+")
GRADES: Final[tuple[Grade, ...]] = ("A", "B", "C", "D", "E")
CHANNELS: Final[tuple[MessageChannel, ...]] = ("sms", "email")

Deed = Literal["remind", "phone", "field", "legal", "agency"]
QUEUE_OF: Final[dict[Deed, Queue]] = {
    "remind": "reminder",
    "phone": "phone",
    "field": "field",
    "legal": "legal",
    "agency": "agency",
}
MOST_SEGMENTS: Final = 100
MOST_STEPS: Final = 50
"""More than any issuer's plan has; all that is checked of a file is then a matter of milliseconds."""

MOST_FAULTS: Final = 50
"""So many faults are told at once: nobody mends more before trying again."""

RANK: Final[dict[Queue, int]] = {"reminder": 0, "phone": 1, "field": 2, "legal": 3, "agency": 3}
"""The order of pressure: a plan never steps back from a later queue to an earlier one by itself."""

PROPOSED: Final[frozenset[Queue]] = frozenset({"legal", "agency"})
"""What the plan only proposes: a supervisor confirms, or declines with a reason."""


SPECIAL: Final[tuple[Queue, ...]] = ("hardship", "skip")
"""The queues beside the plan, whose collectors may need a skill of their own."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan. `set_time_days` is None only for a last step by phone or in the field, and for a proposal."""

    name: str
    queue: Queue
    set_time_days: int | None
    channels: tuple[MessageChannel, ...] = ()
    template: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """The cases of some buckets and grades, and their steps in order. `skills`: what their collector should have."""

    name: str
    buckets: tuple[Bucket, ...]
    grades: tuple[Grade, ...]
    ungraded: bool
    steps: tuple[Step, ...]
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Staffing:
    """How cases are shared out among phone collectors.

    `capacity`: open cases of a collector whose own record names no number. `long_leave_days`: whoever is away for more
    calendar days than that hands the cases over. `specialists`: by queue the skill that its collectors should have.
    """

    capacity: int
    long_leave_days: int
    specialists: Mapping[Queue, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strategy:
    """A whole dated strategy: for every bucket and grade, and for a case without a grade, exactly one segment."""

    name: str
    version: str
    valid_from: date
    source: str
    gather_minutes: int
    lapse_at: time
    promise_within_days: int
    retry_after_minutes: int
    staffing: Staffing
    segments: tuple[Segment, ...]

    @property
    def label(self) -> str:
        """The name and version that every decision carries."""
        return f"{self.name}@{self.version}"

    @property
    def edition(self) -> str:
        """A text that is greater for a strategy that begins to hold later: by it older decisions are found."""
        return f"{self.valid_from} {self.label}"

    def segment(self, bucket: Bucket, grade: Grade | None) -> Segment:
        """Return the one segment of `bucket` and `grade`; a bucket before M1 is treated as M1."""
        wanted: Bucket = "M1" if bucket == "M0" else bucket
        for segment in self.segments:
            if wanted in segment.buckets and (segment.ungraded if grade is None else grade in segment.grades):
                return segment
        raise LookupError(f"no segment for {bucket} {grade}")  # parse() proved that there is one

    def step(self, name: str) -> Step | None:
        """Return the step called `name`, whichever segment holds it first."""
        return next((step for segment in self.segments for step in segment.steps if step.name == name), None)


def parse(document: object) -> Strategy:
    """Return the strategy that a parsed YAML document describes; raise StrategyError with everything that is wrong,
    or, of a file that is wrong all over, with the first faults and how many more there are.
    """
    faults: list[str] = []
    row = Row.of(document, "strategy file", faults)
    strategy = Strategy(
        name=row.code("strategy"),
        version=row.code("version"),
        valid_from=row.day("valid_from"),
        source=row.text("source"),
        gather_minutes=row.whole("gather_minutes", 0, 1440),
        lapse_at=row.time_of_day("lapse_at"),
        promise_within_days=row.whole("promise_within_days", 0, 366),
        retry_after_minutes=row.whole("retry_after_minutes", 0, 1440),
        staffing=_staffing(row.below("staffing")),
        segments=tuple(_segment(each) for each in row.rows("segments", MOST_SEGMENTS)),
    )
    row.nothing_else()
    if not faults:
        faults += _gaps_and_overlaps(strategy)
    if faults:
        more = len(faults) - MOST_FAULTS
        rest = (f"strategy file: {more} faults more; mend these first",) if more > 0 else ()
        raise StrategyError((*faults[:MOST_FAULTS], *rest))
    return strategy


def _staffing(row: Row) -> Staffing:
    skills = {queue: row.code(f"{queue}_skill") for queue in SPECIAL if row.has(f"{queue}_skill")}
    staffing = Staffing(
        capacity=row.whole("capacity", 1, 10_000),
        long_leave_days=row.whole("long_leave_days", 0, 366),
        specialists=skills,
    )
    row.nothing_else()
    return staffing


def _segment(row: Row) -> Segment:
    name = row.code("name")
    named = row.called(name)
    segment = Segment(
        name=name,
        buckets=cast("tuple[Bucket, ...]", named.choices("buckets", BUCKETS)),
        grades=cast("tuple[Grade, ...]", named.choices("grades", GRADES)),
        ungraded=named.flag("ungraded"),
        steps=tuple(_step(each) for each in named.rows("steps", MOST_STEPS)),
        skills=named.codes("skills"),
    )
    named.nothing_else()
    _check_order(segment.steps, named)
    _check_set_times(segment.steps, named)
    return segment


def _step(row: Row) -> Step:
    name = row.code("name")
    named = row.called(name)
    deed = cast("Deed", named.choice("do", tuple(QUEUE_OF)))
    reminds = deed == "remind"
    step = Step(
        name=name,
        queue=QUEUE_OF.get(deed, "reminder"),
        set_time_days=named.whole("set_time_days", 0, 90) if named.has("set_time_days") else None,
        channels=cast("tuple[MessageChannel, ...]", named.choices("channels", CHANNELS)) if reminds else (),
        template=named.code("template") if reminds else "",
    )
    named.nothing_else()
    return step


def _check_order(steps: tuple[Step, ...], row: Row) -> None:
    """Reminders first, no step back, no name twice."""
    if steps and steps[0].queue != "reminder":
        row.fault("steps[0]", "the first touch is a call or a visit", "begin with a step whose `do` is remind")
    for index, (before, after) in enumerate(itertools.pairwise(steps), start=1):
        if RANK[after.queue] < RANK[before.queue]:
            row.fault(f"steps[{index}]", "goes back to an earlier queue", "order them remind, phone, field, legal")
    names = [step.name for step in steps]
    for name in sorted({name for name in names if names.count(name) > 1}):
        row.fault("steps", f"the name {name} stands twice", "give each step of a segment its own name")


def _check_set_times(steps: tuple[Step, ...], row: Row) -> None:
    """A set time for every step but the last, and for no proposal: a supervisor decides when."""
    for index, step in enumerate(steps):
        where, given, last = f"steps[{index}]", step.set_time_days is not None, index == len(steps) - 1
        if step.queue in PROPOSED and given:
            row.fault(where, "proposes and has set_time_days", "remove it: a supervisor decides when")
        elif step.queue == "reminder" and last and not given:
            row.fault(where, "reminds without set_time_days", "give the days that the customer has")
        elif step.queue not in (*PROPOSED, "reminder") and last and given:
            row.fault(where, "is the last and has set_time_days", "remove it: nothing follows")
        elif step.queue not in PROPOSED and not last and not given:
            row.fault(where, "has no set_time_days but steps follow", "give the days that the customer has")


def _gaps_and_overlaps(strategy: Strategy) -> list[str]:
    faults: list[str] = []
    for bucket in BUCKETS:
        for grade in (*GRADES, None):
            found = [
                segment.name
                for segment in strategy.segments
                if bucket in segment.buckets and (segment.ungraded if grade is None else grade in segment.grades)
            ]
            case = f"bucket {bucket}, " + ("no grade yet" if grade is None else f"grade {grade}")
            remedy = "set `ungraded: true` in exactly one" if grade is None else "list the grade in exactly one"
            if not found:
                faults.append(f"segments: {case} is in no segment; {remedy} segment of this bucket")
            elif len(found) > 1:
                faults.append(f"segments: {case} is in {' and '.join(found)}; {remedy} segment of this bucket")
    return faults
