"""What another strategy would change: for each case what is next by the one and by the other, and why it differs.

Nothing is decided and nothing is written: the same functions that will decide are run on copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.assignment.domain import plan
from services.assignment.domain.lifecycle import catch_up
from services.assignment.domain.model import Customer, Proposal
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.roster import Roster
from services.assignment.domain.strategy import Step
from shared.events.cases import Queue
from shared.events.kinds import Reason


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a case stands once what is due now has been done, and what follows by itself at `until`, if anything.

    `segment`: the one the case is in. `proposal`: what the plan would have proposed by now.
    """

    segment: str
    step: str | None
    queue: Queue | None
    until: datetime | None
    following: Step | None
    proposal: Queue | None

    @property
    def path(self) -> tuple[object, ...]:
        """What a person would notice; the name of a segment alone is not."""
        return self.step, self.queue, self.until, self.following, self.proposal


@dataclass(frozen=True, slots=True)
class Move:
    """A case for which the other strategy makes a difference, and why."""

    before: Outlook
    after: Outlook
    reasons: tuple[Reason, ...]


def outlook(customer: Customer, policy: Policy, now: datetime) -> Outlook | None:
    """Return what the policy makes of the customer's case; None when none is open."""
    turn = Turn(customer, now, policy)
    catch_up(turn)
    case = turn.customer.open_case
    if case is None:
        return None
    segment = policy.strategy.segment(case.bucket, case.grade)
    return Outlook(
        segment=segment.name,
        step=case.step.name if case.step else None,
        queue=case.queue,
        until=case.step.lapses_at if case.step else case.begins_at,
        following=plan.next_step(segment, turn.customer),
        proposal=_queue(case.proposal),
    )


def move_of(
    customer: Customer, held: Policy, wanted: Policy, now: datetime, leaving: Mapping[str, Reason]
) -> Move | None:
    """Return what `wanted` changes for the case; None when it changes nothing.

    `leaving`: collectors who hand their cases over under `wanted` alone (`newly_leaving`).
    """
    before, after = outlook(customer, held, now), outlook(customer, wanted, now)
    if before is None or after is None:
        return None
    case = customer.open_case
    handed = leaving.get(case.collector) if case and case.collector else None
    if before.path == after.path and handed is None:
        return None
    found = (*_differences(before, after), *((handed,) if handed else ()))
    return Move(before, after, found)


def newly_leaving(roster: Roster, held: Policy, wanted: Policy, now: datetime) -> dict[str, Reason]:
    """Return who hands cases over under `wanted` but not under `held`: a leave that is long there is short here."""
    today = held.day_of(now)
    mine = Roster.of(roster.colleagues.values(), {}, held.strategy.staffing)
    theirs = Roster.of(roster.colleagues.values(), {}, wanted.strategy.staffing)
    found = {each: theirs.why_not_kept(each, today) for each in roster.colleagues if not mine.why_not_kept(each, today)}
    return {each: why for each, why in found.items() if why is not None}


def _differences(before: Outlook, after: Outlook) -> Iterator[Reason]:
    if before.segment != after.segment:
        pair = f"{before.segment} → {after.segment}"
        yield Reason("segment", f"方案段 {pair}", f"Segment {pair}")
    if (before.step, before.queue) != (after.step, after.queue):
        pair = f"{before.step or '-'} → {after.step or '-'}"
        yield Reason("moves_at_once", f"立即换步 {pair}", f"Moves at once: {pair}")
    elif before.until != after.until:
        pair = f"{_day(before.until)} → {_day(after.until)}"
        yield Reason("set_time", f"期限 {pair}", f"Set time {pair}")
    if before.proposal != after.proposal:
        pair = f"{before.proposal or '-'} → {after.proposal or '-'}"
        yield Reason("proposal", f"提议 {pair}", f"Proposal {pair}")
    if before.following != after.following:
        yield _follows(before.following, after.following)


def _follows(before: Step | None, after: Step | None) -> Reason:
    names = f"{before.name if before else '-'} → {after.name if after else '-'}"
    if before is not None and after is not None and (before.name, before.queue) == (after.name, after.queue):
        return Reason(
            "next_step_changed",
            f"下一步 {after.name} 的内容有变",
            f"The next step {after.name} has another set time, channel or text",
        )
    return Reason("next_step", f"下一步 {names}", f"Next step {names}")


def _queue(proposal: Proposal | None) -> Queue | None:
    return proposal.queue if proposal else None


def _day(instant: datetime | None) -> str:
    return instant.date().isoformat() if instant else "-"
