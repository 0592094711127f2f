"""What is known of a customer is a function of the facts, whatever their order and repetition."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.folds import FOLDS, opted_out
from services.notify.domain.model import Customer
from shared.events.card import AccountCured, PaymentReversed, StopLifted, StopSet
from shared.events.cases import CaseClosed, CaseRecalled, ContactLogged
from shared.events.kinds import Fact, Reason
from shared.money import CurrencyMismatch
from tests.unit.notify.build import MORNING, contacts, customer, erased, hours, overdue, payment

WHEN = st.integers(0, 3).map(lambda number: MORNING + hours(number))
ACCOUNT = st.sampled_from(["A1", "A2"])
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(overdue, ACCOUNT, st.sampled_from([0, 100, 900]), st.just("CNY"), WHEN),
    st.builds(payment, st.sampled_from([50, 900]), ACCOUNT, st.sampled_from(["P1", "P2"]), WHEN),
    st.builds(
        lambda account, at: PaymentReversed(
            customer_id="C1", account_id=account, payment_id="P1", currency="CNY", amount=50, reversed_at=at
        ),
        ACCOUNT,
        WHEN,
    ),
    st.builds(lambda account, at: AccountCured(customer_id="C1", account_id=account, as_of=at), ACCOUNT, WHEN),
    st.builds(lambda at: StopSet(customer_id="C1", kind="dispute", set_at=at), WHEN),
    st.builds(lambda at: StopLifted(customer_id="C1", kind="dispute", lifted_at=at), WHEN),
    st.builds(lambda at, name: contacts(at, name=name), WHEN, st.sampled_from(["张三", "李四"])),
    st.builds(erased, WHEN),
    st.builds(lambda at: CaseClosed(case_id="K1", customer_id="C1", reason="paid", closed_at=at), WHEN),
    st.builds(
        lambda at, hand_over: CaseRecalled(
            case_id="K1",
            customer_id="C1",
            hand_over_id=hand_over,
            reason=Reason("r", "撤回", "recall"),
            recalled_at=at,
        ),
        WHEN,
        st.sampled_from([None, "H1"]),
    ),
    st.builds(
        lambda at, outcome: ContactLogged(
            contact_id="T1",
            case_id="K1",
            customer_id="C1",
            staff_id="S1",
            channel="CALL",
            line="CONN",
            party="SELF",
            outcome=outcome,
            contacted_at=at,
        ),
        WHEN,
        st.sampled_from(["PTP", "HARD", "PROT"]),
    ),
)


@given(st.lists(FACTS, max_size=10), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_one_state(facts: list[Fact], random: Random) -> None:
    shuffled = [*facts, *facts[::3]]
    random.shuffle(shuffled)
    assert customer(*shuffled) == customer(*facts)


REACH = st.one_of(
    st.builds(erased, WHEN),
    st.builds(lambda at, name: contacts(at, name=name), WHEN, st.sampled_from(["张三", "李四"])),
)


@given(st.lists(REACH, max_size=8), st.randoms(use_true_random=False))
def test_contact_data_and_erasures_in_any_order_and_repeated_give_one_state(facts: list[Fact], random: Random) -> None:
    """Seen to fail: without `erased_as_of`, older contact data that came after an erasure brought the name back."""
    shuffled = [*facts, *facts[::3]]
    random.shuffle(shuffled)
    assert customer(*shuffled) == customer(*facts)


@given(st.lists(FACTS, max_size=6))
def test_a_fact_that_changes_nothing_returns_the_very_same_object(facts: list[Fact]) -> None:
    known = customer(*facts)
    for fact in facts:
        assert FOLDS[type(fact)](known, fact) is known


@given(st.lists(FACTS, max_size=6))
def test_what_is_known_survives_storage(facts: list[Fact]) -> None:
    known = opted_out(customer(*facts), "sms", MORNING)
    assert msgspec.json.decode(msgspec.json.encode(known), type=Customer) == known


def test_the_first_refusal_of_a_medium_is_kept() -> None:
    once = opted_out(Customer(), "email", MORNING)
    assert opted_out(once, "email", MORNING + hours(1)) is once
    assert opted_out(opted_out(Customer(), "email", MORNING + hours(1)), "email", MORNING) == once


def test_a_landline_gets_no_short_message_and_nothing_more_than_needed_is_kept() -> None:
    known = customer(contacts())
    assert known.reach is not None
    assert known.reach.mobiles == ("+8613800138000",)
    assert b"+861012345678" not in msgspec.json.encode(known)


def test_a_fact_in_another_currency_than_its_accounts_is_not_taken() -> None:
    with pytest.raises(CurrencyMismatch):
        customer(overdue("A1", 100, "CNY"), overdue("A1", 100, "USD", MORNING + hours(1)))


def test_an_erasure_leaves_its_instant_and_nothing_of_the_customers_contacts() -> None:
    """Seen to fail: with only the reach removed, older contact data that came later brought the name back."""
    known = customer(contacts(), erased(MORNING + hours(1)), contacts(MORNING + hours(1)))
    assert known == Customer(erased_as_of=MORNING + hours(1))


def test_contact_data_newer_than_an_erasure_begin_anew() -> None:
    known = customer(erased(), contacts(MORNING + hours(1)))
    assert known.reach is not None
    assert known == customer(contacts(MORNING + hours(1)), erased())
