"""What is known of a customer is a function of the facts; what becomes of the visits follows from it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.fieldvisit.domain.folds import due_at
from services.fieldvisit.domain.model import Customer
from services.fieldvisit.domain.withdrawing import settle
from shared.events.card import AccountCured, PaymentReversed, StopLifted
from shared.events.cases import CaseClosed, CaseRecalled, ContactLogged
from shared.events.kinds import Reason
from shared.rules.calendar import CalendarUnknown, working_calendar
from shared.rules.rulebook import rulebook
from tests.unit.fieldvisit.build import (
    DUE,
    HOUR,
    NOW,
    SHANGHAI,
    contacts,
    erased,
    handed_over,
    hazardous,
    in_the_field,
    known,
    only_visit,
    opened,
    overdue,
    payment,
    stop,
)

BACK = Reason(code="supervisor", zh="主管收回", en="taken back by the supervisor")
REVERSED = PaymentReversed(
    customer_id="C1", account_id="A1", payment_id="P1", currency="CNY", amount=100_00, reversed_at=NOW + HOUR
)
RECALLED = CaseRecalled(case_id="K1", customer_id="C1", hand_over_id=None, reason=BACK, recalled_at=NOW + HOUR)
CLOSED = CaseClosed(case_id="K1", customer_id="C1", reason="paid", closed_at=NOW + 2 * HOUR)
HEARD = ContactLogged(
    contact_id="T1",
    case_id="K1",
    customer_id="C1",
    staff_id="phone-1",
    channel="CALL",
    line="CONN",
    party="SELF",
    outcome="DISP",
    contacted_at=NOW,
)

CARD_FACTS = [
    overdue(),
    overdue("A2", 50_00),
    payment(),
    payment("A2", 20_00, "P2"),
    REVERSED,
    stop(),
    stop("hardship"),
]
CONTACT_FACTS = [
    contacts(),
    hazardous(),
    erased(NOW - HOUR),
    erased(NOW - 2 * HOUR),
    contacts(as_of=NOW, name="张伟明"),
]
CASE_FACTS = [opened("A1"), handed_over(), handed_over("H2"), HEARD, RECALLED, CLOSED]
EVERYTHING = [*CARD_FACTS, *CONTACT_FACTS, *CASE_FACTS]


def knowledge(customer: Customer) -> Customer:
    return structs.replace(customer, visits={})


@given(st.permutations(EVERYTHING), st.lists(st.sampled_from(EVERYTHING), max_size=6))
def test_any_order_and_any_duplication_of_facts_of_all_topics_give_one_state(
    facts: list[Any], again: list[Any]
) -> None:
    assert known(*facts, *again) == known(*EVERYTHING)


WHEN = st.integers(0, 3).map(lambda number: NOW + number * HOUR)


@given(
    st.lists(
        st.one_of(st.builds(erased, WHEN), st.builds(contacts, WHEN), st.builds(hazardous, as_of=WHEN)), max_size=8
    ),
    st.randoms(use_true_random=False),
)
def test_contact_data_and_erasures_in_any_order_and_repeated_give_one_state(facts: list[Any], random: Random) -> None:
    """Seen to fail: without `erased_as_of`, older contact data that came after an erasure brought the address back."""
    shuffled = [*facts, *facts[::3]]
    random.shuffle(shuffled)
    assert known(*shuffled) == known(*facts)


@given(st.permutations([handed_over(), erased()]))
def test_a_customer_whose_address_was_erased_is_visited_no_more_whatever_came_first(facts: list[Any]) -> None:
    customer = known(contacts())
    for fact in facts:
        customer, _ = settle(known(fact, customer=customer), NOW)
    assert only_visit(customer).state == "withdrawn"
    assert customer.reach is None


def test_a_customer_whose_contact_data_came_anew_is_visited() -> None:
    customer, withdrawn = settle(in_the_field(erased(), contacts(NOW + HOUR)), NOW)
    assert (only_visit(customer).state, withdrawn) == ("accepted", ())


@given(st.permutations(EVERYTHING), st.lists(st.integers(0, len(EVERYTHING)), max_size=4))
def test_wherever_a_batch_ends_an_ended_customer_is_visited_no_more(facts: list[Any], cuts: list[int]) -> None:
    """Knowledge is the same to the byte; the reason and instant of a withdrawal depend on what came first."""
    customer, reported = Customer(customer_id="C1"), []
    bounds = sorted({0, *cuts, len(facts)})
    for begin, end in itertools.pairwise(bounds):
        customer, withdrawn = settle(known(*facts[begin:end], customer=customer), NOW)
        reported += [fact.visit_id for fact in withdrawn]
    assert knowledge(customer) == knowledge(known(*EVERYTHING))
    assert {visit.state for visit in customer.visits.values()} == {"withdrawn"}
    assert sorted(reported) == sorted(visit.visit_id for visit in customer.visits.values())


@given(
    st.permutations(
        [overdue(), overdue("A2"), payment(), payment("A2", payment_id="P2"), opened("A1", "A2"), handed_over()]
    )
)
def test_a_customer_who_has_paid_is_not_visited_whatever_came_first(facts: list[Any]) -> None:
    customer = Customer(customer_id="C1")
    for fact in facts:
        customer, _ = settle(known(fact, customer=customer), NOW)
    assert only_visit(customer).state == "withdrawn"


@given(st.permutations([overdue(), overdue("A2"), payment(), opened("A1", "A2"), handed_over()]))
def test_a_customer_with_an_unpaid_account_of_the_case_is_visited_whatever_came_first(facts: list[Any]) -> None:
    customer = Customer(customer_id="C1")
    for fact in facts:
        customer, _ = settle(known(fact, customer=customer), NOW)
    withdrawn_early = only_visit(customer).state == "withdrawn"
    # Only while nobody has said that the case holds A2 may A1's payment look like the whole.
    case_unknown = facts.index(opened("A1", "A2")) > max(facts.index(payment()), facts.index(overdue()))
    assert not withdrawn_early or case_unknown


def test_the_same_hand_over_twice_makes_one_visit() -> None:
    once = in_the_field()
    assert known(handed_over(), customer=once) == once


def test_two_hand_overs_make_two_visits() -> None:
    assert len(in_the_field(handed_over("H2")).visits) == 2


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (payment(), "paid"),
        (AccountCured(customer_id="C1", account_id="A1", as_of=NOW), "paid"),
        (overdue(minor=0, as_of=NOW), "paid"),
        (stop("cease_contact"), "stopped"),
        (HEARD, "stopped"),
        (RECALLED, "recalled"),
        (CLOSED, "closed"),
        (erased(), "erased"),
    ],
)
def test_payment_cure_stops_recall_closing_and_erasure_withdraw(fact: Any, reason: str) -> None:
    customer, (told,) = settle(in_the_field(fact), NOW)
    visit = only_visit(customer)
    assert visit.state == "withdrawn"
    assert told.reason == reason
    assert visit.withdrawal is not None
    assert visit.withdrawal.detail == told.detail


@pytest.mark.parametrize(
    "fact",
    [
        payment(minor=99_99),
        StopLifted(customer_id="C1", kind="dispute", lifted_at=NOW),
        structs.replace(HEARD, outcome="PTP"),
        structs.replace(RECALLED, recalled_at=NOW - HOUR),
        structs.replace(RECALLED, hand_over_id="H2"),
        structs.replace(CLOSED, case_id="K2"),
    ],
)
def test_what_concerns_something_else_or_a_part_does_not_withdraw(fact: Any) -> None:
    customer, told = settle(in_the_field(fact), NOW)
    assert told == ()
    assert only_visit(customer).state == "accepted"


def test_a_case_recalled_and_handed_over_again_is_visited() -> None:
    customer, _ = settle(in_the_field(RECALLED, handed_over("H2", at=NOW + 2 * HOUR)), NOW)
    assert [visit.state for visit in customer.visits.values()] == ["withdrawn", "accepted"]


def test_an_account_of_the_case_without_a_snapshot_is_unknown_and_not_paid() -> None:
    _, told = settle(known(opened("A1", "A2"), overdue(), payment(), handed_over()), NOW)
    assert told == ()


def test_how_an_earlier_episode_ended_says_nothing_of_this_one() -> None:
    """The last month's debt was paid; that this month's is overdue has not been read yet, the case of it has."""
    last_month = [overdue(as_of=NOW - timedelta(days=40)), payment(at=NOW - timedelta(days=39))]
    customer, told = settle(known(*last_month, opened("A1"), handed_over()), NOW)
    assert told == ()
    customer, told = settle(known(overdue(), customer=customer), NOW)
    assert told == ()
    _, told = settle(known(payment(payment_id="P9"), customer=customer), NOW)
    assert [fact.reason for fact in told] == ["paid"]


def test_a_withdrawal_is_final_and_told_once() -> None:
    customer, _ = settle(in_the_field(payment()), NOW)
    again, told = settle(known(REVERSED, customer=customer), NOW + HOUR)
    assert told == ()
    assert only_visit(again).state == "withdrawn"


def test_the_newest_contacts_hold_and_no_telephone_number_is_kept() -> None:
    customer = known(contacts(as_of=NOW, name="新"), contacts(as_of=NOW - HOUR, name="旧"))
    assert customer.reach is not None
    assert customer.reach.name == "新"
    assert not hasattr(customer.reach, "phones")


def test_state_survives_being_stored() -> None:
    customer = known(*EVERYTHING)
    assert msgspec.json.decode(msgspec.json.encode(customer), type=Customer) == customer


def due(handed_over_at: datetime) -> datetime:
    return due_at(handed_over_at, working_calendar("CN"), SHANGHAI, rulebook())


def test_due_at_the_end_of_the_second_working_day_and_make_up_saturday_counts() -> None:
    assert only_visit(in_the_field()).due_at == DUE
    thursday = NOW + timedelta(days=1)
    assert due(thursday) == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert due(thursday + timedelta(days=1)) == datetime(2026, 3, 2, 16, tzinfo=UTC)


def test_a_year_without_calendar_is_an_error_and_never_a_guess() -> None:
    with pytest.raises(CalendarUnknown):
        due(datetime(2026, 12, 31, 2, tzinfo=UTC))
