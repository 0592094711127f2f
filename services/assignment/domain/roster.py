"""Who takes a case: fitness, room, continuity, area and load decide in this order, and each choice says why.

1. *Fit*: who speaks the customer's language and has the skills that are asked for, before who does not.
2. *Room*: who has fewer open cases than the own capacity, before who is full.
3. *Continuity*: who had the customer before.
4. *Area*: who covers the customer's area, then who is bound to none, then who covers others.
5. *Team*: who is of the team that had the case.
6. *Load*: who would have the smallest part of the own capacity with this case; ties go by id.

So nobody is above capacity while another who fits has room; and while nobody has, a case is with somebody who is above
it rather than forgotten. Capacity 0 takes nothing. All of it is a function of values: the same cases in the same order
go to the same people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from services.assignment.domain.model import Customer
from services.assignment.domain.policy import Policy
from services.assignment.domain.strategy import Staffing
from shared.events.kinds import Reason, StaffRole
from shared.events.staff import StaffChanged

Colleague = StaffChanged
"""A colleague is known as the fact that says everything of them."""

FIELD_LEFT: Final = Reason("field_collector_left", "外访员已离岗", "The field collector has left")
FIELD_LONG_LEAVE: Final = Reason(
    "field_collector_on_long_leave", "外访员长期休假", "The field collector is on a long leave"
)
LEFT: Final = Reason("collector_left", "原催收员已离岗", "The collector has left")
SPECIALIST: Final = Reason("specialist", "转给具备专门技能的催收员", "Goes to a collector with the special skill")
LONG_LEAVE: Final = Reason("collector_on_long_leave", "原催收员长期休假", "The collector is on a long leave")


def on_leave(colleague: Colleague, day: date) -> bool:
    """Tell whether the colleague is on leave on `day`; both days of a leave are included."""
    return any(leave.first_day <= day <= leave.last_day for leave in colleague.leave)


def works_as(colleague: Colleague | None, role: str, day: date) -> bool:
    """Tell whether this is an active colleague of that role who is not on leave on `day`."""
    return colleague is not None and colleague.active and colleague.role == role and not on_leave(colleague, day)


def back_at_work(colleague: Colleague, day: date) -> date | None:
    """Return the first day from `day` on that is not within a leave; None for a leave until the end of all days."""
    for leave in sorted(colleague.leave, key=lambda each: each.first_day):
        if leave.first_day <= day <= leave.last_day:
            if leave.last_day == date.max:
                return None
            day = leave.last_day + timedelta(days=1)
    return day


def on_long_leave(colleague: Colleague, day: date, staffing: Staffing) -> bool:
    """Tell whether the colleague is away from `day` on for longer than cases wait for anybody."""
    back = back_at_work(colleague, day)
    return back is None or (back - day).days > staffing.long_leave_days


def next_long_leave(colleague: Colleague, day: date, staffing: Staffing) -> date | None:
    """Return the first day after `day` on which a long leave begins; None when none is recorded."""
    firsts = (leave.first_day for leave in colleague.leave if leave.first_day > day)
    return min((first for first in firsts if on_long_leave(colleague, first, staffing)), default=None)


def takes_cases(colleague: Colleague) -> bool:
    """Tell whether cases may go to this colleague at all, once at work."""
    return colleague.active and colleague.role == "phone_agent" and colleague.capacity != 0


def why_gone(colleague: Colleague | None, role: StaffRole, day: date, staffing: Staffing) -> Reason | None:
    """Return why nobody of this role is to be waited for in this colleague; None: who is away will be back soon."""
    in_field = role == "field_agent"
    if colleague is None or not colleague.active or colleague.role != role:
        return FIELD_LEFT if in_field else LEFT
    if on_long_leave(colleague, day, staffing):
        return FIELD_LONG_LEAVE if in_field else LONG_LEAVE
    return None


@dataclass(frozen=True, slots=True)
class Need:
    """What a case asks of its collector; what is not known asks nothing.

    `earlier`: who had the customer before. `team`: the team that had the case.
    """

    language: str | None = None
    skills: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()
    earlier: str | None = None
    team: str | None = None


def need_of(customer: Customer, policy: Policy) -> Need:
    """Return what the customer's newest case asks of its collector."""
    reach, case = customer.reach, customer.case
    skills = policy.strategy.segment(case.bucket, case.grade).skills if case else ()
    special = policy.strategy.staffing.specialists.get(case.aside) if case and case.aside else None
    return Need(
        language=reach.language if reach else None,
        skills=frozenset(skills if special is None else (*skills, special)),
        areas=frozenset(reach.areas if reach else ()),
        earlier=(case.collector or case.earlier_collector) if case else None,
        team=case.team if case else None,
    )


def misses(colleague: Colleague, need: Need) -> tuple[bool, int]:
    """Return what a colleague lacks for the case: the language, and how many skills."""
    unspoken = need.language is not None and need.language not in colleague.languages
    return unspoken, len(need.skills.difference(colleague.skills))


@dataclass(slots=True)
class Seat:
    """A collector at work today, and how many open cases lie there now."""

    colleague: Colleague
    capacity: int
    load: int

    @property
    def full(self) -> bool:
        """Whether one more case would be above capacity."""
        return self.load >= self.capacity

    def distance(self, need: Need) -> int:
        """Return 0 for who covers the customer's area, 1 for who is bound to none, 2 for who covers others."""
        if not need.areas or need.areas.intersection(self.colleague.areas):
            return 0
        return 2 if self.colleague.areas else 1

    def order(self, need: Need) -> tuple[object, ...]:
        """Return by what seats are compared; the least one takes the case."""
        return (
            misses(self.colleague, need),
            self.full,
            self.colleague.staff_id != need.earlier,
            self.distance(need),
            need.team not in (None, self.colleague.team),
            (self.load + 1) / self.capacity,
            self.colleague.staff_id,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Who takes a case, and why."""

    colleague: Colleague
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class Roster:
    """The phone collectors and how many open cases each has; loads grow as cases are given out in one transaction."""

    colleagues: dict[str, Colleague]
    loads: dict[str, int]
    staffing: Staffing
    _seats: dict[date, list[Seat]] = field(default_factory=dict)

    @classmethod
    def of(cls, colleagues: Iterable[Colleague], loads: Mapping[str, int], staffing: Staffing) -> Roster:
        """Return the roster of these colleagues."""
        return cls({colleague.staff_id: colleague for colleague in colleagues}, dict(loads), staffing)

    def why_not_kept(self, collector: str, day: date) -> Reason | None:
        """Return why a case does not stay with its collector; None: it stays, as through any short leave."""
        return why_gone(self.colleagues.get(collector), "phone_agent", day, self.staffing)

    def why_better(self, collector: str | None, day: date, need: Need) -> Reason | None:
        """Return why a case goes to somebody who fits better and has room; None: the collector fits as well as any."""
        colleague = self.colleagues.get(collector or "")
        if colleague is None:
            return None
        held = misses(colleague, need)
        better = any(not seat.full and misses(seat.colleague, need) < held for seat in self._at_work(day))
        return SPECIALIST if better else None

    def choose(self, day: date, need: Need, *, with_room: bool = False) -> Choice | None:
        """Return who takes a case with this need on `day`, and count it as theirs; None when nobody is at work.

        `with_room`: only who is not full may take it, as where somebody has the case and need not give it away.
        """
        seats = self._at_work(day)
        chosen = min(
            (seat for seat in seats if not (with_room and seat.full)), key=lambda seat: seat.order(need), default=None
        )
        if chosen is None:
            return None
        reasons = tuple(_reasons(chosen, seats, need))
        chosen.load += 1
        return Choice(chosen.colleague, reasons)

    def _at_work(self, day: date) -> list[Seat]:
        if day not in self._seats:
            self._seats[day] = [
                Seat(each, each.capacity or self.staffing.capacity, self.loads.get(each.staff_id, 0))
                for each in self.colleagues.values()
                if takes_cases(each) and works_as(each, "phone_agent", day)
            ]
        return self._seats[day]


def _reasons(chosen: Seat, seats: Iterable[Seat], need: Need) -> Iterator[Reason]:
    yield from _fitness(chosen, need)
    yield from _continuity(chosen, seats, need)
    if need.areas.intersection(chosen.colleague.areas):
        yield Reason("area", "负责客户所在片区", "Covers the customer's area")
    held = f"{chosen.load}/{chosen.capacity}"
    if chosen.full:
        yield Reason(
            "above_capacity",
            f"合适的人均已满额，仍须有人负责（在手 {held}）",
            f"Everybody who fits is full, and somebody must have it ({held} cases)",
        )
    else:
        yield Reason("load", f"尚有余量（在手 {held}）", f"Has room ({held} cases)")


def _fitness(chosen: Seat, need: Need) -> Iterator[Reason]:
    unspoken, lacking = misses(chosen.colleague, need)
    if unspoken:
        yield Reason(
            "language_missing",
            "能接案者均不会客户的语言",
            "Of those who could take it nobody speaks the customer's language",
        )
    elif need.language is not None:
        yield Reason("language", "会客户的语言", "Speaks the customer's language")
    if lacking:
        yield Reason(
            "skill_missing", "能接案者均不具备全部技能", "Of those who could take it nobody has all the skills"
        )
    elif need.skills:
        named = ", ".join(sorted(need.skills))[:100]
        yield Reason("skill", f"具备技能：{named}", f"Has the skills: {named}")


def _continuity(chosen: Seat, seats: Iterable[Seat], need: Need) -> Iterator[Reason]:
    if need.earlier is None:
        return
    earlier = next((seat for seat in seats if seat.colleague.staff_id == need.earlier), None)
    if earlier is chosen:
        yield Reason("same_collector", "此前即由其负责该客户", "Had this customer before")
    elif earlier is None:
        yield Reason("earlier_away", "原催收员今天不接案", "Who had the customer before takes no case today")
    elif misses(earlier.colleague, need) > misses(chosen.colleague, need):
        yield Reason("earlier_unfit", "原催收员不具备所需条件", "Who had the customer before fits less")
    else:
        yield Reason("earlier_full", "原催收员已满额", "Who had the customer before is full")
