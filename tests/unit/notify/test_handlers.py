"""A batch of facts in memory: outcomes in order, colleagues by their newest word."""

from __future__ import annotations

import itertools

from msgspec import structs

from services.notify.domain.model import Customer
from services.notify.handlers import HANDLES, fold_all, newest
from shared.bus.outcomes import DONE, Dead, Skip
from shared.bus.unit_of_work import Incoming
from shared.events.envelope import Envelope
from shared.events.kinds import Fact
from shared.events.registry import BY_MODEL
from shared.events.staff import StaffChanged
from tests.unit.notify.build import MORNING, contacts, customer, hours, overdue, payment, reminder_due
from tests.unit.notify.test_reports import COMPLETED, MISSED

_numbers = itertools.count(1)


def incoming(fact: Fact) -> Incoming:
    kind = BY_MODEL[type(fact)]
    number = next(_numbers)
    envelope = Envelope(
        id=f"E{number}",
        type=kind.name,
        source=kind.topic.source,
        time=MORNING,
        key=kind.key_of(fact),
        traceparent="-",
        cause_id=None,
        topic=kind.topic.name,
        partition=0,
        epoch=1,
        sequence=number,
    )
    return Incoming(envelope, fact)


def test_outcomes_stand_in_the_order_of_the_batch() -> None:
    facts = [overdue(), overdue(), COMPLETED, contacts(), reminder_due(), MISSED]
    after, outcomes = fold_all([incoming(fact) for fact in facts], {"C1": Customer()})
    assert outcomes == [DONE, Skip("no_change"), DONE, DONE, DONE, DONE]
    assert after["C1"] == customer(overdue(), contacts())


def test_a_contradicting_fact_is_dead_and_the_rest_goes_on() -> None:
    contradicting = structs.replace(overdue(at=MORNING + hours(1)), currency="USD")
    after, outcomes = fold_all([incoming(each) for each in (overdue(), contradicting, payment())], {"C1": Customer()})
    assert [type(outcome) for outcome in outcomes] == [type(DONE), Dead, type(DONE)]
    assert after["C1"] == customer(overdue(), payment())


def test_of_a_colleague_the_highest_version_counts() -> None:
    one = StaffChanged(
        staff_id="A1",
        version=1,
        changed_at=MORNING,
        name="A1",
        role="admin_assistant",
        team="north",
        email="a1@bank.example",
        languages=("en", "zh"),
    )
    two = structs.replace(one, version=2, email="a1-new@bank.example", languages=())
    (kept,) = newest([two, one, two])
    assert (kept.version, kept.email, kept.language) == (2, "a1-new@bank.example", "zh")


def test_notify_reads_nothing_that_it_wrote_itself() -> None:
    assert all(BY_MODEL[model].topic.writer != "notify" for model in HANDLES)
