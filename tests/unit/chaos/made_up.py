"""A small run in which everything went well, made up; tests break one thing in it at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.evidence import Evidence, Head, Position, Record, Row
from tests.chaos.ledger import Intent, Kind
from tests.chaos.story import identity_of

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


def second(number: float) -> datetime:
    """The machine's instant so many seconds after the beginning."""
    return AT + timedelta(seconds=number)


def intent(
    kind: Kind,
    key: str,
    detail: Row,
    *,
    begun: float = 0.0,
    taken: float | None = 1.0,
    effective: float | None = None,
    asked: int = 1,
    outcomes: tuple[str, ...] = ("accepted",),
) -> Intent:
    """Something that was asked for about the customer K1, and taken a second later unless said otherwise."""
    return Intent(
        kind=kind,
        key=key,
        customer_id="K1",
        detail=detail,
        begun=second(begun),
        asked=asked,
        taken=None if taken is None else second(taken),
        effective_at=None if effective is None else second(effective),
        outcomes=list(outcomes),
    )


def event(key: str, noun: str, data: Row, *, settles: bool = False, **how: Any) -> Intent:
    """An event that was sent to intake."""
    kind = f"arrears.{noun}.v1"
    whole = {"customer_id": "K1", **data}
    return intent(
        "event", key, {"identity": identity_of(kind, whole), "type": kind, "data": whole, "settles": settles}, **how
    )


def record(topic: str, sequence: int, noun: str, data: Row, *, fact_id: str | None = None) -> Record:
    """A fact in the log of partition 0, where its number says."""
    whole = {"customer_id": "K1", **data}
    return Record(topic, 0, sequence - 1, 7, sequence, fact_id or f"{topic}-{sequence}", f"arrears.{noun}.v1", whole)


def head(topic: str, given: int) -> Head:
    """All that was given is published."""
    return Head(topic, 0, 7, given, (7, given))


SNAPSHOT = {"account_id": "A1", "as_of": second(-9).isoformat(), "amount_past_due": 500}
PAYMENT = {"account_id": "A1", "payment_id": "P-1", "amount": 100}
STOP = {"kind": "dispute", "set_at": second(-5).isoformat()}
LIFT = {"kind": "dispute", "lifted_at": second(-1).isoformat()}

_NOTICE = {
    "notice_id": "N1",
    "natural_key": "reminder:R1",
    "customer_id": "K1",
    "staff_id": None,
    "purpose": "reminder",
    "channel": "email",
    "state": "sent",
    "due": second(0),
    "address": "k1@mail.example",
    "provider_ref": "ok",
    "barrier_at": second(2),
    "holder": None,
}
_REPORT = {
    **_NOTICE,
    "notice_id": "N2",
    "natural_key": "report:V1:D1",
    "customer_id": None,
    "staff_id": "D1",
    "purpose": "visit_done",
    "address": "d1@bank.example",
    "barrier_at": None,
}
_SMS = {**_NOTICE, "notice_id": "N3", "natural_key": "reminder:R2", "channel": "sms", "address": "+8613900000001"} | {
    "provider_ref": "part-1,part-2"
}

SOUND = Evidence(
    clock=AT,
    intents=(
        event("overdue", "account.overdue_reported", SNAPSHOT),
        event("pay", "payment.posted", PAYMENT, begun=2, taken=3),
        event("stop", "customer.stop_set", STOP, begun=4, taken=5, effective=20),
        intent("contact", "mark-1", {}),
        intent("hand_over", "mark-2", {}),
        intent("complete", "mark-3", {}),
    ),
    records=(
        record("card", 1, "account.overdue_reported", SNAPSHOT),
        record("card", 2, "payment.posted", PAYMENT),
        record("card", 3, "customer.stop_set", STOP),
        record("risk", 1, "account.graded", {"account_id": "A1", "version": 1}),
        record("cases", 1, "reminder.due", {"reminder_id": "R1"}),
        record("cases", 2, "reminder.due", {"reminder_id": "R2"}),
        record("cases", 3, "contact.logged", {"contact_id": "C1"}),
        record("cases", 4, "case.handed_over", {"hand_over_id": "H1"}),
        record("visits", 1, "visit.accepted", {"hand_over_id": "H1", "visit_id": "V1"}),
        record("visits", 2, "visit.completed", {"visit_id": "V1"}, fact_id="report-1"),
        record("notices", 1, "notice.sent", {"notice_id": "N1"}),
        record("notices", 2, "notice.sent", {"notice_id": "N2", "customer_id": None}),
        record("notices", 3, "notice.sent", {"notice_id": "N3"}),
    ),
    heads=(head("card", 3), head("risk", 1), head("cases", 4), head("visits", 2), head("notices", 3)),
    positions=(Position("scoring", "card", 0, (7, 3), "running", None),),
    states={service: {"K1": '{"payments": ["P-1"]}'} for service in ("scoring", "assignment", "fieldvisit", "notify")},
    rest={"scoring": ()},
    gradings=({"account_id": "A1", "version": 1},),
    contacts=({"contact_id": "C1", "note": "mark-1"},),
    timeline=(
        {"customer_id": "K1", "seq": 1, "kind": "payment", "data": {"account_id": "A1", "amount": 100}},
        {"customer_id": "K1", "seq": 2, "kind": "visit", "data": {"visit_id": "V1", "state": "accepted"}},
        {"customer_id": "K1", "seq": 3, "kind": "visit", "data": {"visit_id": "V1", "state": "completed"}},
    ),
    hand_overs=({"hand_over_id": "H1", "reason": "mark-2"},),
    visits=({"visit_id": "V1", "hand_over_id": "H1", "state": "completed", "due_at": second(-1)},),
    visit_notes=({"visit_id": "V1", "text": "mark-3"},),
    reports=({"report_id": "report-1", "visit_id": "V1", "kind": "completed"},),
    notices=(_NOTICE, _REPORT, _SMS),
    mails=(
        {"to": ["k1@mail.example"], "headers": {"X-Notice-Id": "N1"}, "received_at": second(3).isoformat()},
        {"to": ["d1@bank.example"], "headers": {"X-Notice-Id": "N2"}, "received_at": second(60).isoformat()},
    ),
    texts=({"to": "8613900000001", "at": second(3).isoformat(), "message_ids": ["part-1", "part-2"]},),
)


def but(**changes: Any) -> Evidence:
    """The sound run with something changed."""
    return replace(SOUND, **changes)


def rows(name: str, place: int, /, **changes: Any) -> Evidence:
    """The sound run with one row changed."""
    found = list(getattr(SOUND, name))
    found[place] = {**found[place], **changes}
    return but(**{name: tuple(found)})


def again(name: str, at: int = 0) -> Evidence:
    """The sound run with one row standing twice."""
    found = getattr(SOUND, name)
    return but(**{name: (*found, found[at])})


def without(name: str, at: int = 0) -> Evidence:
    """The sound run with one row missing."""
    found = list(getattr(SOUND, name))
    del found[at]
    return but(**{name: tuple(found)})
