"""The collection plan at work: entering a step, its set time, renewing it, and taking the next one.

While the set time runs, nothing but payment, a stop or a hand-over ends a step. When it lapses unpaid the plan takes
its next step: the first step of the segment that the case is in *by then* which it has not been in yet and which does
not step back to an earlier queue. So a changed bucket or grade changes what comes next, never the set time that the
customer was told. A step at which the plan had come to rest goes on when the case gets into a segment that does.
Law and an agency are only ever proposed: the case stays where it is until a supervisor has decided.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import structs

from services.assignment.domain import proposals
from services.assignment.domain.model import Case, Customer, RunningStep, case_accounts
from services.assignment.domain.permits import first_message_day
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.strategy import PROPOSED, RANK, Segment, Step
from services.assignment.domain.words import QUEUES
from shared.events.cases import CaseRouted, ReminderDue
from shared.events.kinds import Reason
from shared.ids import derived_id

_CLASS_CHANGED = Reason("class_changed", "账龄或等级已变，按新方案段继续", "Bucket or grade changed: the plan goes on")
_GOES_ON = Reason("plan_goes_on", "方案继续", "The plan goes on")


def begin(turn: Turn) -> None:
    """Take the plan's first step, once what was reported together has been gathered and unless a stop holds."""
    case = turn.customer.open_case
    if case is None or case.step is not None or turn.customer.stopped:
        return
    if case.begins_at is not None and turn.now < case.begins_at:
        return
    segment = _segment(turn.policy, case)
    enter(turn, segment, segment.steps[0], Reason("first_step", "先提醒，后联系", "Reminders come first"))


def enter(turn: Turn, segment: Segment, step: Step, why: Reason) -> None:
    """Put the case into `step`: routed with reasons and, for a reminder, one reminder due a channel."""
    case = turn.case()
    running = _running(turn, segment, step)
    turn.set_case(step=running, begins_at=None, touched=(*case.touched, step.name), offer_from=None)
    # While it is put aside it is worked there, whatever the step's own queue is.
    queue = case.aside or step.queue
    turn.facts.append(
        CaseRouted(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=queue,
            step=step.name,
            bucket=case.bucket,
            grade=case.grade,
            strategy=turn.policy.strategy.name,
            strategy_version=turn.policy.strategy.version,
            reasons=(why, segment_reason(case, segment)),
            routed_at=turn.now,
        )
    )
    turn.note(
        "case_routed",
        f"进入{QUEUES[queue][0]}队列（{step.name}）：{why.zh}{_until_zh(running)}",
        f"Into the {QUEUES[queue][1]} queue ({step.name}): {why.en}{_until_en(running)}",
        queue=queue,
        step=step.name,
        segment=segment.name,
        reason=why.code,
        bucket=case.bucket,
        grade=case.grade,
        strategy=turn.policy.strategy.label,
    )
    if step.queue == "reminder":
        _remind(turn, step, running)


def lapse(turn: Turn) -> None:
    """Take the next step if the set time has lapsed unpaid; an open promise, a visit or a stop holds it."""
    case = turn.customer.open_case
    if case is None or case.step is None or not step_runs(turn.customer.stopped, case):
        return
    if case.step.lapses_at is None or turn.now < case.step.lapses_at:
        return
    segment = _segment(turn.policy, case)
    following = next_step(segment, turn.customer)
    if following is None:
        turn.set_case(step=structs.replace(case.step, lapses_at=None))
        turn.note(
            "plan_ended", "设定期限已过，方案没有后续步骤", "The set time lapsed and the plan has no further step"
        )
        return
    _take(turn, segment, following, Reason("set_time_lapsed", "设定期限已过仍未还款", "The set time lapsed unpaid"))


def _take(turn: Turn, segment: Segment, step: Step, why: Reason) -> None:
    case = turn.case()
    if step.queue not in PROPOSED or case.step is None:
        enter(turn, segment, step, why)
        return
    turn.set_case(step=structs.replace(case.step, lapses_at=None))
    proposals.make(turn, step.queue, (why, segment_reason(case, segment)), step=step.name)


def go_on(turn: Turn) -> None:
    """Leave a rest that the case has outgrown: the segment that it is in by now gives a set time, or a step.

    So it is when the class has changed, or a supervisor has declined what the plan proposed. Without this a case that
    was first in a mild segment would stay at that segment's last step however old it becomes.
    """
    if not rest_is_over(turn.policy, turn.customer):
        return
    case = turn.case()
    segment = _segment(turn.policy, case)
    same, following = _same_step(segment, case), next_step(segment, turn.customer)
    held = case.step
    why = _CLASS_CHANGED if held is not None and held.segment != segment.name else _GOES_ON
    had_its_time = held is not None and held.days is not None and why is _GOES_ON
    if held is not None and same is not None and same.set_time_days is not None and not had_its_time:
        running = _running(turn, segment, same)
        turn.set_case(step=structs.replace(running, entered_at=held.entered_at))
        _note_renewed(turn, same.name, running.set_date, why)
    elif following is not None:
        _take(turn, segment, following, why)


def rest_is_over(policy: Policy, customer: Customer) -> bool:
    """Tell whether the case rests at a step without a set time although its present segment has steps after it."""
    case = customer.open_case
    if case is None or case.step is None or case.step.lapses_at is not None:
        return False
    return step_runs(customer.stopped, case) and next_step(_segment(policy, case), customer) is not None


def _same_step(segment: Segment, case: Case) -> Step | None:
    held = case.step
    return next((step for step in segment.steps if held and (step.name, step.queue) == (held.name, held.queue)), None)


def step_runs(stopped: bool, case: Case) -> bool:
    """Tell whether the step's set time can lapse now: not under a stop, a promise, a visit, a proposal, or at law."""
    with_others = case.step is not None and case.step.queue in PROPOSED
    held = case.promise is not None or case.hand_over is not None or case.proposal is not None
    return not (stopped or held or with_others)


def next_step(segment: Segment, customer: Customer) -> Step | None:
    """Return the first step of `segment` that the case has not been in, nobody declined, and that is no step back.

    Only silence leads towards law: who has paid something or answered is not proposed for it by the plan.
    """
    case = customer.open_case
    if case is None:
        return None
    least = RANK[case.step.queue] if case.step else 0
    over = {*case.touched, *case.declined}
    open_steps = (step for step in segment.steps if step.name not in over and RANK[step.queue] >= least)
    return next((step for step in open_steps if step.queue != "legal" or proposals.silent(customer, case)), None)


def renew(turn: Turn, why: Reason) -> None:
    """Give the running step its whole set time again: paying something or answering is good faith."""
    case = turn.customer.open_case
    if case is None or case.step is None or case.step.days is None:
        return
    set_date = turn.today + timedelta(days=case.step.days)
    lapses_at = turn.policy.lapse_after(set_date)
    if case.step.lapses_at is not None and case.step.lapses_at >= lapses_at:
        return
    turn.set_case(step=structs.replace(case.step, set_date=set_date, lapses_at=lapses_at))
    _note_renewed(turn, case.step.name, set_date, why)


def _note_renewed(turn: Turn, step: str, set_date: date | None, why: Reason) -> None:
    turn.note(
        "step_renewed",
        f"步骤重新计时至 {set_date}：{why.zh}",
        f"The step's set time runs anew until {set_date}: {why.en}",
        step=step,
        set_date=str(set_date),
        reason=why.code,
    )


def back_to_phone(turn: Turn, why: Reason) -> bool:
    """Take the phone step again, with its whole set time, as after a visit; what follows it comes again too.

    Returns whether the segment has such a step; where it has none, the running step begins its set time anew.
    """
    case = turn.case()
    segment = _segment(turn.policy, case)
    place = next((index for index, step in enumerate(segment.steps) if step.queue == "phone"), None)
    if place is None:
        renew(turn, why)
        return False
    again = {step.name for step in segment.steps[place:]}
    turn.set_case(touched=tuple(name for name in case.touched if name not in again))
    enter(turn, segment, segment.steps[place], why)
    return True


def _segment(policy: Policy, case: Case) -> Segment:
    return policy.strategy.segment(case.bucket, case.grade)


def _running(turn: Turn, segment: Segment, step: Step) -> RunningStep:
    set_date = lapses_at = None
    if step.set_time_days is not None:
        # A reminder that night holds back is read in the morning: the customer has the whole set time from then.
        first = first_message_day(turn.customer, turn.policy, turn.now) if step.queue == "reminder" else turn.today
        set_date = first + timedelta(days=step.set_time_days)
        lapses_at = turn.policy.lapse_after(set_date)
    return RunningStep(
        name=step.name,
        queue=step.queue,
        segment=segment.name,
        entered_at=turn.now,
        days=step.set_time_days,
        set_date=set_date,
        lapses_at=lapses_at,
        strategy=turn.policy.strategy.label,
    )


def _remind(turn: Turn, step: Step, running: RunningStep) -> None:
    case, accounts = turn.case(), case_accounts(turn.customer)
    if running.set_date is None:
        raise ValueError("a reminder without a set date")  # the strategy's check forbids it
    for channel in step.channels:
        # The natural key: one step of one case, to one date, through one channel, once.
        reminder_id = str(derived_id("reminder", case.case_id, step.name, running.set_date.isoformat(), channel))
        turn.facts.append(
            ReminderDue(
                reminder_id=reminder_id,
                case_id=case.case_id,
                customer_id=turn.customer.customer_id,
                step=step.name,
                channel=channel,
                template=step.template,
                pay_by=running.set_date,
                accounts=accounts,
                due_at=turn.now,
            )
        )
        turn.note(
            "reminder_due",
            f"应发{'短信' if channel == 'sms' else '邮件'}提醒，请于 {running.set_date} 前还款",
            f"A reminder by {channel} is due, to pay by {running.set_date}",
            channel=channel,
            reminder_id=reminder_id,
            pay_by=running.set_date.isoformat(),
        )


def segment_reason(case: Case, segment: Segment) -> Reason:
    """Return which segment the case is in, and by what."""
    grade_zh, grade_en = (f"等级 {case.grade}", f"grade {case.grade}") if case.grade else ("尚无等级", "no grade yet")
    return Reason(
        "segment",
        f"账龄 {case.bucket}，{grade_zh}，适用方案段 {segment.name}",
        f"Bucket {case.bucket}, {grade_en}: segment {segment.name}",
    )


def _until_zh(running: RunningStep) -> str:
    return f"，期限至 {running.set_date}" if running.set_date else ""


def _until_en(running: RunningStep) -> str:
    return f", until {running.set_date}" if running.set_date else ""


def lapse_instant(case: Case) -> datetime | None:
    """Return when the running step's set time lapses, if it has one."""
    return case.step.lapses_at if case.step else None
