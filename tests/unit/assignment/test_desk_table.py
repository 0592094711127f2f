"""The contact table is the rule: what it does not hold is refused."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from services.assignment.domain import words
from services.assignment.domain.desk import LINES, OUTCOMES, PARTIES, TABLE, allowed_parties, right_party
from shared.events.cases import ContactChannelCode, LineCode, OutcomeCode, PartyCode, Queue
from shared.events.visits import MissedReason
from shared.rules.model import StopKind

TALKS_OF_DEBT = {"PTP", "PAID", "REFUSE", "HARD", "DISP", "INFO"}


def test_the_table_as_a_whole() -> None:
    """Every allowed combination, so that a change of the table is seen here."""
    allowed: dict[str, set[str]] = {}
    for line, party, outcome in TABLE:
        allowed.setdefault(f"{line} {party}", set()).add(outcome)
    debtor = {"PTP", "PAID", "REFUSE", "HARD", "DISP", "COMP", "PROT", "CALLBK", "INFO", "NONE"}
    assert allowed == {
        "NOAS UNK": {"NONE"},
        "BUSY UNK": {"NONE"},
        "CUT UNK": {"NONE"},
        "OFF UNK": {"NONE"},
        "STOP UNK": {"NONE"},
        "VOID UNK": {"NONE"},
        "CONN SELF": debtor,
        "CONN GUAR": debtor,
        "CONN REL": {"RELAY", "CALLBK", "COMP", "PROT", "NONE"},
        "CONN UNREL": {"RELAY", "COMP", "PROT", "NONE"},
        "CONN UNK": {"CALLBK", "COMP", "NONE"},
        "WRONG UNREL": {"COMP", "NONE"},
        "WRONG UNK": {"COMP", "NONE"},
    }


def test_nobody_but_who_owes_is_spoken_to_about_the_debt() -> None:
    for _, party, outcome in TABLE:
        assert party in {"SELF", "GUAR"} or outcome not in TALKS_OF_DEBT


def test_a_line_that_reached_nobody_has_nobody_s_words() -> None:
    for line in set(LINES) - {"CONN", "WRONG"}:
        assert allowed_parties(line) == ("UNK",)


def test_only_a_conversation_with_who_owes_is_effective() -> None:
    for row in TABLE.values():
        talked = row.line == "CONN" and row.party in {"SELF", "GUAR"} and row.outcome != "NONE"
        assert row.counts_as_effective == talked
        assert row.counts_as_attempt


def test_the_right_party_is_the_customer_in_person() -> None:
    assert right_party(TABLE["CONN", "SELF", "INFO"])
    assert not right_party(TABLE["CONN", "GUAR", "INFO"])
    assert not right_party(TABLE["CONN", "SELF", "NONE"])


@pytest.mark.parametrize(
    ("outcome", "stop"), [("DISP", "dispute"), ("COMP", "complaint"), ("HARD", "hardship"), ("PROT", "cease_contact")]
)
def test_four_outcomes_stop_pressure(outcome: str, stop: str) -> None:
    rows = [row for row in TABLE.values() if row.outcome == outcome]
    assert rows
    assert all(row.stops_case == stop for row in rows)


def test_a_number_that_is_dead_or_a_stranger_s_is_of_no_more_use() -> None:
    assert {row.line for row in TABLE.values() if row.stops_number} == {"VOID", "STOP", "WRONG"}


def test_a_promise_needs_its_content_and_a_complaint_its_words() -> None:
    for row in TABLE.values():
        assert row.requires == {"PTP": "promise", "COMP": "note"}.get(row.outcome)


def test_every_code_can_be_logged_somewhere() -> None:
    assert {code for row in TABLE for code in row} == set(itertools.chain(LINES, PARTIES, OUTCOMES))


def test_every_code_has_words_in_both_languages() -> None:
    tables = (
        (words.QUEUES, Queue),
        (words.CHANNELS, ContactChannelCode),
        (words.LINES, LineCode),
        (words.PARTIES, PartyCode),
        (words.OUTCOMES, OutcomeCode),
        (words.STOPS, StopKind),
        (words.MISSED, MissedReason),
    )
    for table, codes in tables:
        assert set(table) == set(get_args(codes))
        assert all(zh and en for zh, en in table.values())
