"""What scoring knows of a customer is a function of the facts, whatever their order and repetition."""

from __future__ import annotations

from hypothesis import given
from msgspec import structs

from services.scoring.domain.account import FOLDS, Customer
from services.scoring.handlers import HANDLES
from shared.events.kinds import Fact
from tests.unit.orders import merged, mixed, never_told
from tests.unit.scoring.facts import at, cure, payment, reversal, snapshot

FIRST: list[Fact] = [
    payment(20_000, number=1),
    snapshot(as_of=at(24)),
    reversal(20_000, number=2, reversed_at=at(26)),
    payment(20_000, number=2),
    snapshot(past_due=90_000, as_of=at(25), history=()),
    cure(at(26)),
    reversal(20_000, number=1, reversed_at=at(26, 2)),
]
SECOND: list[Fact] = [structs.replace(fact, account_id="a-2") for fact in FIRST[1:]]


def after(facts: list[Fact]) -> Customer:
    """The customer after these facts, as the handler folds them."""
    known = Customer()
    for fact in facts:
        account_id: str = fact.account_id  # type: ignore[attr-defined]  # every fact that scoring handles has one
        known = known.with_account(FOLDS[type(fact)](known.account(account_id), fact))
    return known


def test_every_fact_that_scoring_handles_is_told_here() -> None:
    assert never_told(HANDLES, (FIRST, SECOND)) == set()
    assert mixed((FIRST + SECOND,)) == []


@given(merged((FIRST, SECOND)))
def test_facts_of_two_accounts_in_any_order_and_repeated_give_one_state(facts: list[Fact]) -> None:
    """Scoring reads one topic; that the order within an account does not matter either is in `test_grading`.

    Seen to fail with the snapshot that came last kept, instead of the newest.
    """
    assert after(facts) == after(FIRST + SECOND)
