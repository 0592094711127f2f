"""What is told of contact data and erasures, so that the last record of a key is the truth of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.contacts_told import Told, judge_contacts
from services.ingest.domain.intake import Sound
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from tests.unit.ingest.events import NOW
from tests.unit.notify.build import contacts, customer, erased

Fact = CustomerContactsChanged | CustomerContactsErased


def at(hour: int) -> datetime:
    return NOW + timedelta(hours=hour)


def told(*facts: Fact) -> list[Fact | None]:
    """Return what each fact comes to, one after the other; None: not told, or refused."""
    known = {"C1": Told()}
    found: list[Fact | None] = []
    for number, fact in enumerate(facts):
        event = Sound("s", str(number), b"", fact, NOW, None)
        judged = judge_contacts([event], known)
        known = dict(judged.after)
        fact_told = judged.facts.get(event.identity)
        assert fact_told is None or isinstance(fact_told, CustomerContactsChanged | CustomerContactsErased)
        found.append(fact_told)
        assert (event.identity in judged.refused) == (event.identity not in judged.facts)
    return found


def test_contact_data_as_old_as_an_erasure_are_not_told_behind_it() -> None:
    assert told(erased(at(2)), contacts(at(1)), contacts(at(2)), contacts(at(3))) == [
        erased(at(2)),
        None,
        None,
        contacts(at(3)),
    ]


def test_an_erasure_older_than_the_contact_data_told_is_refused() -> None:
    event = Sound("s", "1", b"", erased(at(1)), NOW, None)
    judged = judge_contacts([event], {"C1": Told(as_of=at(2))})
    assert [error.field for error in judged.refused[event.identity].errors] == ["data.as_of"]
    assert judged.after == {"C1": Told(as_of=at(2))}


def test_an_erasure_sent_again_with_an_older_instant_takes_nothing_back() -> None:
    assert told(erased(at(2)), erased(at(1))) == [erased(at(2)), erased(at(2))]


FACTS = st.one_of(
    st.builds(lambda hour: contacts(at(hour)), st.integers(0, 3)),
    st.builds(lambda hour: erased(at(hour)), st.integers(0, 3)),
)


@given(st.lists(FACTS, max_size=8))
def test_the_last_record_of_a_customer_is_nothing_that_an_erasure_has_ended(facts: list[Fact]) -> None:
    """Compaction leaves only that one. Seen to fail: with older contact data told behind an erasure."""
    log = [fact for fact in told(*facts) if fact is not None]
    erased_until = max((fact.as_of for fact in log if isinstance(fact, CustomerContactsErased)), default=None)
    if erased_until is not None and isinstance(log[-1], CustomerContactsChanged):
        assert log[-1].as_of > erased_until


@given(st.lists(FACTS, max_size=8))
def test_whoever_reads_only_what_was_told_since_the_last_erasure_knows_what_a_reader_from_the_start_knows(
    facts: list[Fact],
) -> None:
    log = [fact for fact in told(*facts) if fact is not None]
    last = max((place for place, fact in enumerate(log) if isinstance(fact, CustomerContactsErased)), default=0)
    assert customer(*log[last:]) == customer(*log)
