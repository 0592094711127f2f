"""What became of each event of a request."""

from __future__ import annotations

from services.ingest.domain.intake import Rejected, Sound, judge
from services.ingest.domain.outcomes import all_taken, firsts, outcomes_of
from tests.unit.ingest.events import PRESENT, event, with_data


def sound(source: str = "/bank/cards") -> Sound:
    verdict = judge(event(source=source), PRESENT)
    assert isinstance(verdict, Sound)
    return verdict


def other_content() -> Sound:
    verdict = judge(with_data("account.overdue_reported", "balance", 1), PRESENT)
    assert isinstance(verdict, Sound)
    return verdict


def test_the_first_of_an_identity_given_twice_in_a_request_counts() -> None:
    first, again, other = sound(), sound(), other_content()
    assert firsts([first, again, other]) == {first.identity: first}
    digests = {first.identity: first.digest}
    new = frozenset({first.identity})
    assert outcomes_of([first, again, other], new, digests) == ["accepted", "replayed", "conflict"]


def test_a_known_identity_is_replayed_with_its_content_and_a_conflict_with_other_content() -> None:
    first, other = sound(), other_content()
    kept = {first.identity: first.digest}
    assert outcomes_of([first, other], frozenset(), kept) == ["replayed", "conflict"]


def test_one_id_of_two_sources_is_two_events() -> None:
    here, there = sound(), sound(source="/bank/loans")
    assert set(firsts([here, there])) == {here.identity, there.identity}


def test_a_rejected_event_is_never_remembered() -> None:
    refused = judge(event(specversion="2.0"), PRESENT)
    assert isinstance(refused, Rejected)
    assert firsts([refused]) == {}
    assert outcomes_of([refused], frozenset(), {}) == ["rejected"]


def test_only_conflicts_and_rejections_need_the_senders_attention() -> None:
    assert all_taken(["accepted", "replayed"])
    assert all_taken([])
    assert not all_taken(["accepted", "conflict"])
    assert not all_taken(["rejected"])
