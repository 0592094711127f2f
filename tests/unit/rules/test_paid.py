from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import CurrencyMismatch, Money
from shared.rules.paid import (
    ABSORBED_AFTER,
    AccountLedger,
    is_paid,
    owed,
    paid_between,
    with_cured,
    with_payment,
    with_reversal,
    with_snapshot,
)

Fold = Callable[[AccountLedger], AccountLedger]
NOON = datetime(2026, 2, 25, 4, tzinfo=UTC)
DUE = date(2026, 1, 25)


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


def day(n: float) -> datetime:
    return NOON + timedelta(days=n)


def snapshot(past_due: int, at: float) -> Fold:
    return lambda ledger: with_snapshot(ledger, cny(past_due), day(at), DUE)


def cured(at: float) -> Fold:
    return lambda ledger: with_cured(ledger, day(at))


def paid(payment_id: str, amount: int, at: float) -> Fold:
    return lambda ledger: with_payment(ledger, payment_id, cny(amount), day(at))


def taken_back(payment_id: str, amount: int, at: float) -> Fold:
    return lambda ledger: with_reversal(ledger, payment_id, cny(amount), day(at))


def fold(*facts: Fold) -> AccountLedger:
    ledger = AccountLedger("acc-1")
    for fact in facts:
        ledger = fact(ledger)
    return ledger


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        pytest.param([snapshot(1000, 0)], 1000, id="nothing paid"),
        pytest.param([snapshot(1000, 0), paid("p", 999, 1)], 1, id="one fen short"),
        pytest.param([snapshot(1000, 0), paid("p", 1000, 1)], 0, id="paid in full"),
        pytest.param([snapshot(1000, 0), paid("p", 1500, 1)], 0, id="overpaid is not negative"),
        pytest.param([paid("p", 1000, 1), snapshot(1000, 0)], 0, id="payment before the overdue fact"),
        pytest.param([snapshot(1000, 0), paid("p", 1000, -1)], 1000, id="back-dated into the snapshot"),
        pytest.param([snapshot(1000, 0), paid("p", 1000, 0)], 1000, id="valued at as_of is inside"),
        pytest.param([snapshot(1000, 0), paid("p", 400, 1), paid("p", 400, 1)], 600, id="told twice"),
        pytest.param([snapshot(1000, 0), paid("p", 400, 1), paid("q", 600, 2)], 0, id="two payments"),
        pytest.param([snapshot(1000, 0), paid("p", 1000, 1), taken_back("p", 1000, 2)], 1000, id="bounced"),
        pytest.param([taken_back("p", 1000, 2), snapshot(1000, 0), paid("p", 1000, 1)], 1000, id="reversal first"),
        pytest.param([taken_back("p", 1000, 2), snapshot(1000, 0)], 1000, id="reversal of an unknown payment waits"),
        pytest.param([snapshot(1000, 0), paid("p", 1000, 1), taken_back("p", 300, 2)], 300, id="partly reversed"),
        pytest.param(
            [snapshot(1000, 0), paid("p", 1000, 1), taken_back("p", 300, 2), taken_back("p", 200, 3)],
            500,
            id="reversed in two parts",
        ),
        pytest.param(
            [snapshot(1000, 0), paid("p", 1000, 1), taken_back("p", 1000, 2), taken_back("p", 1000, 2.5)],
            1000,
            id="never more back than was paid",
        ),
        pytest.param([paid("p", 400, -1), snapshot(600, 0), taken_back("p", 400, 1)], 1000, id="bounced after as_of"),
        pytest.param([paid("p", 400, -2), taken_back("p", 400, -1), snapshot(1000, 0)], 1000, id="both inside"),
        pytest.param([paid("p", 400, 1), taken_back("p", 400, -1), snapshot(1000, 0)], 1000, id="reversal back-dated"),
        pytest.param(
            [paid("p", 400, -2), taken_back("p", 100, -1), snapshot(700, 0), taken_back("p", 300, 1)],
            1000,
            id="reversed before and after as_of",
        ),
        pytest.param([snapshot(1000, 0), snapshot(700, 1)], 700, id="newer snapshot"),
        pytest.param([snapshot(700, 1), snapshot(1000, 0)], 700, id="older snapshot changes nothing"),
        pytest.param([snapshot(1000, 0), paid("p", 300, 1), snapshot(700, 2)], 700, id="absorbed once"),
        pytest.param([snapshot(1000, 0), snapshot(900, 0)], 900, id="two words of one instant"),
        pytest.param([snapshot(1000, 0), cured(1)], 0, id="cured"),
        pytest.param([cured(1), snapshot(1000, 0)], 0, id="cure before the snapshot it cures"),
        pytest.param([snapshot(1000, 1), cured(1)], 0, id="cure of the same instant"),
        pytest.param([cured(1), snapshot(1000, 2)], 1000, id="overdue again"),
        pytest.param(
            [snapshot(1000, 0), paid("p", 1000, 1), cured(2), taken_back("p", 1000, 3)], 1000, id="cure undone"
        ),
    ],
)
def test_what_is_owed(facts: list[Fold], left: int) -> None:
    ledger = fold(*facts)
    assert owed(ledger) == cny(left)
    assert is_paid(ledger) is (left == 0)


def test_nothing_is_owed_before_anything_overdue_was_reported() -> None:
    for ledger in (fold(), fold(paid("p", 100, 0)), fold(cured(0))):
        assert owed(ledger) is None
        assert is_paid(ledger)


def test_another_currency_than_the_accounts_is_refused() -> None:
    ledger = fold(paid("p", 100, 0))
    with pytest.raises(CurrencyMismatch):
        with_snapshot(ledger, Money(100, "USD"), NOON, DUE)
    with pytest.raises(CurrencyMismatch):
        with_payment(ledger, "q", Money(100, "USD"), NOON)
    with pytest.raises(CurrencyMismatch):
        with_reversal(ledger, "p", Money(100, "USD"), NOON)


def test_a_fact_told_again_gives_the_very_same_ledger() -> None:
    facts = [snapshot(1000, 0), paid("p", 400, 1), taken_back("p", 100, 2), cured(-1)]
    ledger = fold(*facts)
    assert all(fact(ledger) is ledger for fact in facts)


def test_a_payment_told_in_two_ways_is_the_later_one_whichever_came_first() -> None:
    told = [paid("p", 400, -1), paid("p", 300, 1)]
    assert owed(fold(snapshot(1000, 0), *told)) == owed(fold(snapshot(1000, 0), *reversed(told))) == cny(700)


def test_payments_of_long_ago_leave_no_trace() -> None:
    old = -ABSORBED_AFTER.days
    ledger = fold(paid("old", 5, old), taken_back("old", 5, old), paid("young", 5, old + 1), snapshot(1000, 0))
    assert [payment.payment_id for payment in ledger.payments] == ["young"]
    assert fold(snapshot(1000, 0), paid("old", 5, old)) == fold(snapshot(1000, 0))


def test_what_was_paid_in_a_span_counts_by_value_date_less_reversals() -> None:
    ledger = fold(paid("p", 400, 1), taken_back("p", 100, 5), paid("q", 50, 2), paid("late", 70, 3), paid("at", 9, 0))
    assert paid_between(ledger, day(0), day(2)) == 350


def test_a_ledger_survives_storage_and_is_compact() -> None:
    ledger = fold(snapshot(1000, 0), paid("p", 400, 1), taken_back("p", 100, 2))
    raw = msgspec.json.encode(ledger)
    assert msgspec.json.decode(raw, type=AccountLedger) == ledger
    assert len(raw) < 200


DAYS = st.one_of(st.integers(-3, 3), st.integers(-400, 400))
AMOUNTS = st.integers(1, 500)
IDS = st.sampled_from(["p", "q", "r"])
FACTS = st.lists(
    st.one_of(
        st.builds(snapshot, st.integers(0, 1000), DAYS),
        st.builds(cured, DAYS),
        st.builds(paid, IDS, AMOUNTS, DAYS),
        st.builds(taken_back, IDS, AMOUNTS, DAYS),
    ),
    max_size=10,
)


@given(st.data(), FACTS)
def test_any_order_and_any_repetition_give_one_ledger(data: st.DataObject, facts: list[Fold]) -> None:
    again = data.draw(st.lists(st.sampled_from(facts), max_size=5)) if facts else []
    shuffled = data.draw(st.permutations(facts + again))
    assert fold(*shuffled) == fold(*facts)


@given(
    past_due=st.integers(0, 1000),
    payments=st.lists(st.tuples(AMOUNTS, st.integers(-100, 100), st.none() | st.integers(-100, 100)), max_size=6),
)
def test_owed_is_past_due_less_later_payments_plus_their_later_reversals(
    past_due: int, payments: list[tuple[int, int, int | None]]
) -> None:
    """The plain sentence, written a second time, for whole reversals."""
    ledger = fold(snapshot(past_due, 0))
    expected = past_due
    for number, (amount, valued, back) in enumerate(payments):
        ledger = paid(str(number), amount, valued)(ledger)
        inside = valued <= 0
        expected -= 0 if inside else amount
        if back is not None:
            ledger = taken_back(str(number), amount, back)(ledger)
            expected += 0 if inside and back <= 0 else amount
    assert owed(ledger) == cny(max(0, expected))
    assert is_paid(ledger) is (expected <= 0)
