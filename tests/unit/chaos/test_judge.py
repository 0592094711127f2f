"""Each judgement is seen to find what it looks for: a sound run, and the same with one thing broken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.chaos.evidence import COUNTS, Evidence, Position
from tests.chaos.judge import judge, silences
from tests.chaos.judge_rebuilt import equal_rows
from tests.chaos.ledger import Intent
from tests.unit.chaos.made_up import (
    LIFT,
    PAYMENT,
    SNAPSHOT,
    SOUND,
    STOP,
    again,
    but,
    event,
    head,
    intent,
    record,
    rows,
    second,
    without,
)


def _record_at(number: int, **changes: object) -> Evidence:
    records = list(SOUND.records)
    records[number] = replace(records[number], **changes)  # type: ignore[arg-type]  # a test says which field
    return but(records=tuple(records))


def _with_records(*more: object) -> Evidence:
    return but(records=(*SOUND.records, *more))


def _swapped() -> Evidence:
    """Two card facts of the customer with each other's number: the later sent stands before what was taken first."""
    first, second_, *rest = SOUND.records
    return but(
        records=(
            replace(second_, offset=0, sequence=1),
            replace(first, offset=1, sequence=2),
            *rest,
        )
    )


def _timeline_in_another_order() -> Evidence:
    one, two, three = SOUND.timeline
    return but(timeline=(one, {**three, "seq": 2}, {**two, "seq": 3}))


def _dates_after_a_stop() -> Evidence:
    return but(notices=({**SOUND.notices[0], "barrier_at": second(6)}, *SOUND.notices[1:]))


def _settled(arrives: float) -> Evidence:
    paid = event("settle", "payment.posted", {**PAYMENT, "payment_id": "P-1"}, settles=True, effective=18)
    mail = {**SOUND.mails[0], "received_at": second(arrives).isoformat()}
    others = [each for each in SOUND.intents if each.key not in ("pay", "stop")]
    return but(
        intents=(*others, paid),
        records=tuple(each for each in SOUND.records if each.noun != "customer.stop_set"),
        heads=(head("card", 2), *SOUND.heads[1:]),
        positions=(),
        settling=frozenset({"K1"}),
        mails=(mail, *SOUND.mails[1:]),
    )


_FOREIGN = record("card", 4, "payment.posted", {**PAYMENT, "payment_id": "P-9"})
_REFUSED = intent("contact", "mark-1", {}, taken=None, outcomes=("refused:x",))
_UNKNOWN = intent("contact", "mark-1", {}, taken=None, outcomes=())


def _with_contact(contact: Intent) -> Evidence:
    return but(intents=(*SOUND.intents[:3], contact, *SOUND.intents[4:]))


def _ungraded() -> Evidence:
    records = tuple(each for each in SOUND.records if each.topic != "risk")
    return but(gradings=(), records=records, heads=())


def _late_visit() -> Evidence:
    return but(visits=({**SOUND.visits[0], "state": "planned"},), reports=())


def _rebuilt(**account: object) -> Evidence:
    """Scoring rebuilt: the account was graded once instead of twice, with other points, and differs as told."""
    graded = {"ledger": {"paid": 5}, "reported": ["2026-03-01", 7], "last": [2, 61, "C", "M2", "call", [], "1"]}
    again_ = {**graded, "last": [1, 60, "C", "M2", "call", [], "1"], **account}
    return but(states=dict(SOUND.states) | {"scoring": {"K1": _document(graded)}}, rebuilt={"K1": _document(again_)})


def _document(account: object) -> str:
    return json.dumps({"accounts": {"A1": account}, "payments": ["P-1"]})


BROKEN = {
    "a fact that was taken and is not in the log": ("lost", but(records=SOUND.records[1:], heads=())),
    "a number that was passed over": ("lost", but(records=(SOUND.records[0], *SOUND.records[2:]))),
    "a fact in the log that nobody sent": ("twice", _with_records(_FOREIGN)),
    "an event told by two facts": ("twice", _with_records(record("card", 4, "payment.posted", PAYMENT))),
    "a number given to two facts": ("twice", _with_records(replace(SOUND.records[0], id="other", offset=9))),
    "a fact with two numbers": ("twice", _with_records(replace(SOUND.records[2], sequence=4, offset=9))),
    "a number in the log before the one below it": ("out of order", _record_at(1, offset=9)),
    "a customer's events in another order than taken": ("out of order", _swapped()),
    "a timeline in another order than the log": ("out of order", _timeline_in_another_order()),
    "a line twice in a timeline": ("twice", again("timeline")),
    "a payment that a service does not know": ("lost", but(states=dict(SOUND.states) | {"notify": {"K1": "{}"}})),
    "an account without a grade": ("lost", _ungraded()),
    "a contact that is not there": ("lost", but(contacts=())),
    "a contact that is there twice": ("twice", again("contacts")),
    "a contact that nothing tells": ("lost", rows("contacts", 0, contact_id="C9")),
    "a contact that was refused and is there": ("twice", _with_contact(_REFUSED)),
    "a hand-over that is not there": ("lost", but(hand_overs=())),
    "a hand-over without a visit": ("lost", but(visits=())),
    "a hand-over with two visits": ("twice", again("visits")),
    "a report of a visit that is not there": ("lost", but(visit_notes=())),
    "a visit reported twice": ("twice", again("visit_notes")),
    "a report that nothing tells": ("lost", rows("reports", 0, report_id="report-9")),
    "an assistant who was not told": ("lost", without("notices", 1)),
    "an assistant who was told twice": ("twice", again("notices", 1)),
    "a grading twice": ("twice", again("gradings")),
    "a grading that nothing tells": ("lost", rows("gradings", 0, version=2)),
    "a reminder without a notice": ("lost", rows("notices", 0, natural_key="reminder:R9")),
    "a reminder with two notices": ("twice", again("notices", 0)),
    "an end of a notice that nothing tells": ("lost", rows("notices", 0, state="failed")),
    "an end of a notice told although it is none": ("twice", rows("notices", 0, state="due", due=second(9))),
    "a mail that counts as sent and never came": ("lost", without("mails")),
    "a mail that came twice": ("twice", again("mails")),
    "a mail that came of a notice that was not sent": ("twice", rows("notices", 0, state="suppressed")),
    "a report's mail that never came": ("lost", without("mails", 1)),
    "a short message that counts as sent and never came": ("lost", rows("texts", 0, message_ids=["part-1"])),
    "more short messages than were sent": ("twice", again("texts")),
    "a number that is not published": ("stuck", but(heads=(head("card", 4), *SOUND.heads[1:]))),
    "a reader who lags": ("stuck", but(positions=(Position("scoring", "card", 0, (7, 2), "running", None),))),
    "a stream that was stopped": ("stuck", but(positions=(Position("scoring", "card", 0, (7, 3), "stopped", "gap"),))),
    "a service that is not at rest": ("stuck", but(rest={"scoring": ("dead letter: x",)})),
    "a call that nobody answered": ("stuck", but(unanswered=("POST ingest",))),
    "a process that had to be killed": ("stuck", but(complaints=("notify did not end in time",))),
    "an account that is missing when scoring is rebuilt": ("lost", replace(_rebuilt(), rebuilt={})),
    "an account that is there only when it is rebuilt": ("lost", replace(_rebuilt(), states=SOUND.states)),
    "a debt that is another when it is rebuilt": ("lost", _rebuilt(ledger={"paid": 4})),
    "a grade that is another when it is rebuilt": ("lost", _rebuilt(last=[1, 60, "B", "M2", "call", [], "1"])),
    "a notice left in somebody's hands": ("stuck", rows("notices", 1, state="sending")),
    "a notice whose hour has come": ("stuck", rows("notices", 1, state="due")),
    "a late visit that nobody was told of": ("stuck", _late_visit()),
    "a message that came after a stop": ("sent after a stop", rows("mails", 0, received_at=second(21).isoformat())),
    "a short message that came after a stop": ("sent after a stop", rows("texts", 0, at=second(21).isoformat())),
    "a message decided after a stop": ("sent after a stop", _dates_after_a_stop()),
    "a message after everything was paid": ("sent after a stop", _settled(arrives=19)),
}  # fmt: skip


def test_a_sound_run_is_found_sound() -> None:
    assert judge(SOUND) == []
    assert judge(_settled(arrives=3)) == []
    assert judge(_rebuilt()) == [], "how often it was graded, and with how many points, tells when somebody looked"
    assert equal_rows(_rebuilt()) == (1, 1)


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found_and_counted(what: str) -> None:
    under, evidence = BROKEN[what]
    found = judge(evidence)
    assert under in {finding.under for finding in found}, found


def test_every_count_has_something_that_raises_it() -> None:
    assert {under for under, _ in BROKEN.values()} == set(COUNTS)


def test_a_record_that_repeats_a_number_is_no_fault() -> None:
    assert judge(_with_records(replace(SOUND.records[0], offset=9))) == []


def test_what_was_asked_and_not_answered_may_have_happened_or_not() -> None:
    assert judge(_with_contact(_UNKNOWN)) == []


def test_events_sent_before_the_answer_came_may_stand_in_any_order() -> None:
    pay = event("pay", "payment.posted", PAYMENT, begun=0.5, taken=3)
    evidence = but(records=_swapped().records, intents=[SOUND.intents[0], pay, *SOUND.intents[2:]])
    assert judge(evidence) == []


def test_a_lift_ends_the_silence_and_one_dated_before_the_stop_does_not() -> None:
    early = event("lift", "customer.stop_lifted", {**LIFT, "lifted_at": second(-8).isoformat()}, begun=22, taken=23)
    late = event("lift", "customer.stop_lifted", LIFT, begun=22, taken=23)
    stop = SOUND.intents[2]
    assert [each.until for each in silences(but(intents=[stop, early]))] == [None]
    assert [each.until for each in silences(but(intents=[stop, late]))] == [second(22)]
    at_once = event("lift", "customer.stop_lifted", LIFT, begun=6, taken=7)
    assert list(silences(but(intents=[stop, at_once]))) == [], "lifted before it was effective"


def test_what_was_only_recorded_promises_nothing() -> None:
    recorded = event("stop", "customer.stop_set", STOP, begun=4, taken=5)
    assert list(silences(but(intents=[recorded]))) == []


def test_the_time_on_the_way_is_no_time_of_leaving() -> None:
    late = rows("mails", 0, received_at=second(20.2).isoformat())
    assert [each.under for each in judge(late)] == ["sent after a stop"]
    assert judge(replace(late, network=0.3)) == []


def test_paid_in_full_needs_every_account_that_was_reported() -> None:
    evidence = _settled(arrives=19)
    other = event("other", "account.overdue_reported", {**SNAPSHOT, "account_id": "A2"})
    assert [each.why for each in silences(evidence)] == ["everything was paid"]
    assert list(silences(replace(evidence, intents=[*evidence.intents, other]))) == []
