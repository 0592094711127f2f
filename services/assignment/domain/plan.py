"""The collection plan at work: entering a step, its set time, renewing it, and taking the next one.

While the set time runs, nothing but payment, a stop or a hand-over ends a step. When it lapses unpaid the plan takes
its next step: the first step of the segment that the case is in *by then* which it has not been in yet and which does
not step back to an earlier queue. So a changed bucket or grade changes what comes next, never the set time that the
customer was told.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from services.assignment.domain.model import Case, RunningStep, case_accounts
from services.assignment.domain.policy import Turn
from services.assignment.domain.strategy import RANK, Segment, Step
from services.assignment.domain.words import QUEUES
from shared.events.cases import CaseRouted, ReminderDue
from shared.events.kinds import Reason
from shared.ids import derived_id


def begin(turn: Turn) -> None:
    """Take the plan's first step, once what was reported together has been gathered and unless a stop holds."""
    case = turn.customer.open_case
    if case is None or case.step is not None or turn.customer.stopped:
        return
    if case.begins_at is not None and turn.now < case.begins_at:
        return
    segment = _segment(turn, case)
    enter(turn, segment, segment.steps[0], Reason("first_step", "先提醒，后联系", "Reminders come first"))


def enter(turn: Turn, segment: Segment, step: Step, why: Reason) -> None:
    """Put the case into `step`: routed with reasons and, for a reminder, one reminder due a channel."""
    case = turn.case()
    running = _running(turn, segment, step)
    turn.set_case(step=running, begins_at=None, touched=(*case.touched, step.name), offer_from=None)
    turn.facts.append(
        CaseRouted(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=step.queue,
            step=step.name,
            bucket=case.bucket,
            grade=case.grade,
            strategy=turn.policy.strategy.name,
            strategy_version=turn.policy.strategy.version,
            reasons=(why, _segment_reason(case, segment)),
            routed_at=turn.now,
        )
    )
    turn.note(
        "case_routed",
        f"进入{QUEUES[step.queue][0]}队列（{step.name}）：{why.zh}{_until_zh(running)}",
        f"Into the {QUEUES[step.queue][1]} queue ({step.name}): {why.en}{_until_en(running)}",
        queue=step.queue,
        step=step.name,
        segment=segment.name,
        reason=why.code,
        bucket=case.bucket,
        grade=case.grade,
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
    segment = _segment(turn, case)
    following = next_step(segment, case)
    if following is None:
        turn.set_case(step=structs.replace(case.step, lapses_at=None))
        turn.note(
            "plan_ended", "设定期限已过，方案没有后续步骤", "The set time lapsed and the plan has no further step"
        )
        return
    enter(turn, segment, following, Reason("set_time_lapsed", "设定期限已过仍未还款", "The set time lapsed unpaid"))


def step_runs(stopped: bool, case: Case) -> bool:
    """Tell whether the step's set time can lapse now: not under a stop, a promise or a visit."""
    return not stopped and case.promise is None and case.hand_over is None


def next_step(segment: Segment, case: Case) -> Step | None:
    """Return the first step of `segment` that the case has not been in and that is no step back."""
    least = RANK[case.step.queue] if case.step else 0
    return next((step for step in segment.steps if step.name not in case.touched and RANK[step.queue] >= least), None)


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
    turn.note(
        "step_renewed",
        f"步骤重新计时至 {set_date}：{why.zh}",
        f"The step's set time runs anew until {set_date}: {why.en}",
        step=case.step.name,
        set_date=set_date.isoformat(),
        reason=why.code,
    )


def back_to_phone(turn: Turn, why: Reason) -> None:
    """Take the phone step again, with its whole set time, as after a visit; what follows it comes again too."""
    case = turn.case()
    segment = _segment(turn, case)
    place = next((index for index, step in enumerate(segment.steps) if step.queue == "phone"), None)
    if place is None:
        renew(turn, why)
        return
    again = {step.name for step in segment.steps[place:]}
    turn.set_case(touched=tuple(name for name in case.touched if name not in again))
    enter(turn, segment, segment.steps[place], why)


def _segment(turn: Turn, case: Case) -> Segment:
    return turn.policy.strategy.segment(case.bucket, case.grade)


def _running(turn: Turn, segment: Segment, step: Step) -> RunningStep:
    set_date = lapses_at = None
    if step.set_time_days is not None:
        set_date = turn.today + timedelta(days=step.set_time_days)
        lapses_at = turn.policy.lapse_after(set_date)
    return RunningStep(
        name=step.name,
        queue=step.queue,
        segment=segment.name,
        entered_at=turn.now,
        days=step.set_time_days,
        set_date=set_date,
        lapses_at=lapses_at,
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


def _segment_reason(case: Case, segment: Segment) -> Reason:
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
