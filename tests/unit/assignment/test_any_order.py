"""What is known of a customer is a function of the facts, whatever the order across topics and whatever is repeated."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.assignment.domain.model import Customer
from services.assignment.handlers import HANDLES
from shared.events.kinds import Fact, Reason
from shared.events.notices import (
    CustomerOptedOut,
    NoticeDelivered,
    NoticeFailed,
    NoticeSent,
    NoticeSuppressed,
    NoticeUnconfirmed,
    NoticeUndelivered,
)
from shared.events.visits import (
    VisitAccepted,
    VisitBreached,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
    VisitStarted,
    VisitWithdrawn,
)
from tests.unit.assignment.given import (
    DUE,
    WEDNESDAY,
    Story,
    at,
    cured,
    erased,
    graded,
    lift,
    overdue,
    paid,
    reachable,
    reversed_,
    stop,
)
from tests.unit.orders import merged, mixed, never_told

HOUR = timedelta(hours=1)
CARD: list[Fact] = [
    paid(20_000, "P0", valued=WEDNESDAY + HOUR),
    overdue("A1"),
    overdue("A2", amount=40_000, due=DUE["M4"]),
    stop("dispute", WEDNESDAY),
    paid(30_000, "P1", valued=WEDNESDAY + HOUR),
    reversed_(30_000, "P2", when=WEDNESDAY + 3 * HOUR),
    paid(30_000, "P2", valued=WEDNESDAY + 2 * HOUR),
    cured(WEDNESDAY + 4 * HOUR, "A2"),
    lift("dispute", WEDNESDAY + 5 * HOUR),
    reversed_(30_000, "P1", when=WEDNESDAY + 6 * HOUR),
]
RISK: list[Fact] = [graded("B"), graded("E", account_id="A2"), graded("D", version=2)]
CONTACTS: list[Fact] = [
    reachable(),
    erased(WEDNESDAY + HOUR / 2),
    reachable(WEDNESDAY + HOUR, language="en"),
]

MESSAGE: dict[str, Any] = {
    "customer_id": "C1",
    "staff_id": None,
    "case_id": "K0",
    "purpose": "reminder",
    "channel": "sms",
    "template": "reminder_first",
    "template_version": "1",
}
NOTICES: list[Fact] = [
    NoticeSent(notice_id="N1", sent_at=WEDNESDAY, barrier_at=WEDNESDAY, **MESSAGE),
    NoticeDelivered(notice_id="N1", delivered_at=WEDNESDAY, parts=3, **MESSAGE),
    NoticeUndelivered(
        notice_id="N5", undelivered_at=WEDNESDAY, reason=Reason("receipt_undeliv", "未送达", "lost"), **MESSAGE
    ),
    NoticeFailed(notice_id="N2", failed_at=WEDNESDAY, code="smpp_11", detail="refused", **MESSAGE),
    NoticeSuppressed(notice_id="N3", suppressed_at=WEDNESDAY, reason=Reason("paid", "已还", "paid"), **MESSAGE),
    NoticeUnconfirmed(notice_id="N4", unconfirmed_at=WEDNESDAY, barrier_at=WEDNESDAY, **MESSAGE),
    CustomerOptedOut(customer_id="C1", channel="sms", opted_out_at=WEDNESDAY),
]
VISIT: dict[str, Any] = {"visit_id": "V0", "case_id": "K0", "customer_id": "C1"}
BY_FIELD: dict[str, Any] = {**VISIT, "field_agent_id": "F1", "team": "north"}
VISITS: list[Fact] = [
    VisitAccepted(hand_over_id="H0", phone_agent_id="P1", handed_over_at=WEDNESDAY, due_at=WEDNESDAY, **BY_FIELD),
    VisitPlanned(
        plan_id="L0",
        members=("F1", "F2"),
        recorder_id="F2",
        starts_at=WEDNESDAY,
        ends_at=WEDNESDAY,
        planned_at=WEDNESDAY,
        **VISIT,
    ),
    VisitStarted(started_at=WEDNESDAY, **VISIT),
    VisitMissed(reason="nobody_home", missed_at=WEDNESDAY, due_at=WEDNESDAY, **BY_FIELD),
    VisitBreached(due_at=WEDNESDAY, breached_at=WEDNESDAY, **BY_FIELD),
    VisitCompleted(party="SELF", outcome="COMP", completed_at=WEDNESDAY, due_at=WEDNESDAY, on_time=True, **BY_FIELD),
    VisitWithdrawn(reason="paid", detail=Reason("paid", "已还", "paid"), withdrawn_at=WEDNESDAY, **BY_FIELD),
]
STREAMS = (CARD, RISK, CONTACTS, VISITS, NOTICES)


def after(facts: list[Fact]) -> Story:
    return Story().told(WEDNESDAY + 7 * HOUR, *facts)


EXPECTED = after([fact for stream in STREAMS for fact in stream])


def test_every_fact_that_assignment_handles_is_told_here() -> None:
    assert never_told(HANDLES, STREAMS) == set()
    assert mixed(STREAMS) == []


@given(merged(STREAMS))
def test_facts_of_all_topics_in_any_order_and_repeated_give_one_state(facts: list[Fact]) -> None:
    """Does not cover the timeline: it tells in which order things became known here. Nor a case that is with the field
    just now: whether it was paid or visited first decides whose it is.
    """
    assert after(facts).customer == EXPECTED.customer


@given(merged(STREAMS))
def test_and_from_there_the_plan_takes_the_same_steps(facts: list[Fact]) -> None:
    story, expected = (
        after(facts).until(at("03-20 09:00")),
        after(CARD + RISK + CONTACTS + VISITS).until(at("03-20 09:00")),
    )
    assert story.customer == expected.customer
    assert [fact for fact in story.facts if fact not in expected.facts] == []


@given(st.permutations([fact for stream in STREAMS for fact in stream]))
def test_even_within_a_topic_the_order_does_not_change_what_is_owed_or_who_is_stopped(facts: list[Fact]) -> None:
    """How many episodes there were depends on what was known when; whether one is open does not."""
    customer, expected = after(list(facts)).customer, EXPECTED.customer
    assert customer.accounts == expected.accounts
    assert customer.stops == expected.stops
    assert customer.reach == expected.reach
    assert (customer.open_case is None) == (expected.open_case is None)


WHEN = st.integers(0, 3).map(lambda number: WEDNESDAY + number * HOUR)
REACH = st.one_of(
    st.builds(erased, WHEN),
    st.builds(lambda when, name: reachable(when, name=name), WHEN, st.sampled_from(["张三丰", "李四"])),
)


@given(st.lists(REACH, max_size=8), st.randoms(use_true_random=False))
def test_contact_data_and_erasures_in_any_order_and_repeated_give_one_state(facts: list[Fact], random: Random) -> None:
    """Seen to fail: without `erased_as_of`, older contact data that came after an erasure brought the name back."""
    shuffled = [*facts, *facts[::3]]
    random.shuffle(shuffled)
    assert after(shuffled).customer == after(facts).customer


def test_a_customer_s_document_is_read_as_it_was_written() -> None:
    for story in (EXPECTED, after(CARD + RISK).until(at("03-20 09:00"))):
        stored = msgspec.json.encode(story.customer)
        assert msgspec.json.decode(stored, type=Customer) == story.customer


def test_a_document_is_small_enough_for_the_hot_path() -> None:
    """A case with two accounts, in bytes; a field that is not said is not stored."""
    assert len(msgspec.json.encode(EXPECTED.customer)) < 2_500
