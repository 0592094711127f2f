"""What became of what assignment asked for: visits and notices, on the timeline and in the case's step."""

from __future__ import annotations

from services.assignment.domain import handover, lifecycle, plan
from services.assignment.domain.contacts import set_stop
from services.assignment.domain.policy import Turn
from services.assignment.domain.words import MISSED, OUTCOMES, PARTIES
from shared.events import visits as v
from shared.events.kinds import Reason
from shared.events.notices import (
    CustomerOptedOut,
    NoticeDelivered,
    NoticeFailed,
    NoticeSent,
    NoticeSuppressed,
    NoticeUnconfirmed,
    NoticeUndelivered,
)
from shared.rules.outcomes import is_right_party
from shared.rules.stops import stop_of_outcome

NO_CASE = "no_case"


def visit_accepted(turn: Turn, fact: v.VisitAccepted) -> str | None:
    """The field side has the case; the visit is due after two working days."""
    handover.accepted(turn, fact.hand_over_id, fact.visit_id)
    _note(
        turn,
        fact.case_id,
        fact.visit_id,
        "accepted",
        "外访已受理",
        "The visit was accepted",
        due_at=fact.due_at.isoformat(),
    )
    return None


def visit_planned(turn: Turn, fact: v.VisitPlanned) -> str | None:
    """The visit stands in a filed plan."""
    _note(
        turn, fact.case_id, fact.visit_id, "planned", "外访已排入计划", "The visit was planned",
        plan_id=fact.plan_id, starts_at=fact.starts_at.isoformat(),
    )  # fmt: skip
    return None


def visit_started(turn: Turn, fact: v.VisitStarted) -> str | None:
    """The collectors are at the door."""
    _note(turn, fact.case_id, fact.visit_id, "started", "外访开始", "The visit began")
    return None


def visit_completed(turn: Turn, fact: v.VisitCompleted) -> str | None:
    """The visit was made: the case is back by phone with a fresh set time, and a stop named at the door holds."""
    _note(
        turn, fact.case_id, fact.visit_id, "completed",
        f"外访完成：{PARTIES[fact.party][0]}，{OUTCOMES[fact.outcome][0]}",
        f"The visit was made: {PARTIES[fact.party][1]}, {OUTCOMES[fact.outcome][1]}",
        party=fact.party, outcome=fact.outcome, on_time=fact.on_time,
    )  # fmt: skip
    if handover.is_with_field(turn.customer, fact.visit_id):
        handover.back_from_field(turn)
        spoken = is_right_party(fact.party, fact.outcome)
        contacted_at = max(filter(None, (turn.case().contacted_at, fact.completed_at)))
        heard_at = fact.completed_at if spoken else turn.case().heard_at
        turn.set_case(contacted_at=contacted_at, heard_at=heard_at)
        plan.back_to_phone(turn, Reason("visited", "外访已完成，转回电催", "Visited; back to the phone queue"))
    stop = stop_of_outcome(fact.outcome)
    if stop is not None:
        set_stop(turn, stop, fact.completed_at)
    lifecycle.settle(turn)
    return None


def visit_missed(turn: Turn, fact: v.VisitMissed) -> str | None:
    """The visit could not be done; it stays with the field side to be planned again."""
    _note(
        turn, fact.case_id, fact.visit_id, "missed",
        f"外访未完成：{MISSED[fact.reason][0]}", f"The visit was not done: {MISSED[fact.reason][1]}",
        reason=fact.reason,
    )  # fmt: skip
    return None


def visit_breached(turn: Turn, fact: v.VisitBreached) -> str | None:
    """The visit was not done in its expected time; it stays to be done."""
    _note(
        turn,
        fact.case_id,
        fact.visit_id,
        "breached",
        "外访超过期限",
        "The visit is past its expected time",
        due_at=fact.due_at.isoformat(),
    )
    return None


def visit_withdrawn(turn: Turn, fact: v.VisitWithdrawn) -> str | None:
    """The visit is not to be made; if the case was still with it, the phone collector works it again."""
    _note(
        turn, fact.case_id, fact.visit_id, "withdrawn",
        f"外访撤销：{fact.detail.zh}"[:200], f"The visit was withdrawn: {fact.detail.en}"[:200], reason=fact.reason,
    )  # fmt: skip
    if handover.is_with_field(turn.customer, fact.visit_id):
        handover.back_from_field(turn)
        plan.renew(turn, Reason("visit_withdrawn", "外访撤销", "The visit was withdrawn"))
    return None


def notice_sent(turn: Turn, fact: NoticeSent) -> str | None:
    """A reminder left."""
    return _notice(turn, fact, "sent", "已发送", "was sent")


def notice_delivered(turn: Turn, fact: NoticeDelivered) -> str | None:
    """A reminder has arrived, as the network says: the contact is confirmed."""
    return _notice(turn, fact, "delivered", "已送达", "was delivered")


def notice_undelivered(turn: Turn, fact: NoticeUndelivered) -> str | None:
    """A reminder left and did not arrive."""
    words = fact.reason
    return _notice(turn, fact, "undelivered", f"未送达：{words.zh}"[:150], f"was not delivered: {words.en}"[:150])


def notice_failed(turn: Turn, fact: NoticeFailed) -> str | None:
    """A reminder could not be sent."""
    return _notice(turn, fact, "failed", f"发送失败（{fact.code}）", f"failed ({fact.code})")


def notice_suppressed(turn: Turn, fact: NoticeSuppressed) -> str | None:
    """A reminder was not sent, for a reason of law or of the customer's."""
    return _notice(turn, fact, "suppressed", f"未发送：{fact.reason.zh}"[:150], f"was not sent: {fact.reason.en}"[:150])


def notice_unconfirmed(turn: Turn, fact: NoticeUnconfirmed) -> str | None:
    """A reminder may have left; nobody knows."""
    return _notice(turn, fact, "unconfirmed", "发送结果不明", "may have been sent; the answer was lost")


def opted_out(turn: Turn, fact: CustomerOptedOut) -> str | None:
    """The customer refuses a medium; notify keeps to it, here it is told."""
    turn.note(
        "opted_out",
        f"客户拒收{'短信' if fact.channel == 'sms' else '邮件'}",
        f"The customer refuses {fact.channel}",
        at=fact.opted_out_at,
        channel=fact.channel,
    )
    return None


def _note(turn: Turn, case_id: str, visit_id: str, state: str, zh: str, en: str, **data: str | bool) -> None:
    turn.note_for(case_id, "visit", zh, en, at=None, visit_id=visit_id, state=state, **data)


_AnyNotice = NoticeSent | NoticeDelivered | NoticeUndelivered | NoticeFailed | NoticeSuppressed | NoticeUnconfirmed


def _notice(turn: Turn, fact: _AnyNotice, state: str, zh: str, en: str) -> str | None:
    if fact.case_id is None:
        return NO_CASE
    medium = "短信" if fact.channel == "sms" else "邮件"
    turn.note_for(
        fact.case_id,
        "notice",
        f"{medium}{zh}",
        f"The {fact.channel} {en}",
        notice_id=fact.notice_id,
        channel=fact.channel,
        state=state,
    )
    return None
