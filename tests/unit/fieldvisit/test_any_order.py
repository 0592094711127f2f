"""What the field desk knows is a function of the facts, in every order that keeps each topic's own."""

from __future__ import annotations

from hypothesis import given

from services.fieldvisit.handlers import HANDLES
from shared.events.card import AccountCured, StopLifted
from shared.events.kinds import Fact
from shared.events.staff import StaffChanged
from tests.unit.fieldvisit.build import HOUR, NOW, contacts, known
from tests.unit.fieldvisit.test_folds import CARD_FACTS, CASE_FACTS, CONTACT_FACTS
from tests.unit.orders import merged, mixed, never_told

CARD: list[Fact] = [
    *CARD_FACTS,
    AccountCured(customer_id="C1", account_id="A2", as_of=NOW + HOUR),
    StopLifted(customer_id="C1", kind="dispute", lifted_at=NOW + HOUR),
]
CONTACTS: list[Fact] = [
    *CONTACT_FACTS,
    contacts(as_of=NOW + 2 * HOUR, name="张大伟"),
    contacts(as_of=NOW + HOUR, name="张小伟"),
]
STREAMS: list[list[Fact]] = [CARD, CONTACTS, CASE_FACTS]


def test_every_fact_about_a_customer_that_the_field_desk_handles_is_told_here() -> None:
    """Colleagues are kept by their version, in SQL; nothing about a customer follows from them while facts are read."""
    assert never_told(HANDLES - {StaffChanged}, STREAMS) == set()
    assert mixed(STREAMS) == []


@given(merged(STREAMS))
def test_facts_of_all_topics_in_any_order_and_repeated_give_one_state(facts: list[Fact]) -> None:
    """Seen to fail with the contact data that came last kept, instead of the newest."""
    assert known(*facts) == known(*(fact for stream in STREAMS for fact in stream))
