"""Who was met and what can come of it: the one table of phone and door."""

from __future__ import annotations

from typing import get_args

from shared.events.cases import OutcomeCode, PartyCode
from shared.rules.outcomes import DEBTORS, OUTCOMES_OF, is_conversation, is_right_party


def test_every_party_can_be_met_without_a_word() -> None:
    assert set(OUTCOMES_OF) == set(get_args(PartyCode))
    assert all("NONE" in outcomes for outcomes in OUTCOMES_OF.values())


def test_nothing_of_the_debt_is_spoken_about_with_who_does_not_owe() -> None:
    for party, outcomes in OUTCOMES_OF.items():
        assert party in DEBTORS or not {"PTP", "PAID", "REFUSE", "HARD", "DISP", "INFO"} & set(outcomes)


def test_a_conversation_is_with_who_owes_and_the_right_party_is_the_customer() -> None:
    told = [(party, outcome) for party in get_args(PartyCode) for outcome in get_args(OutcomeCode)]
    assert {party for party, outcome in told if is_conversation(party, outcome)} == {"SELF", "GUAR"}
    assert {party for party, outcome in told if is_right_party(party, outcome)} == {"SELF"}
    assert not any(is_conversation(party, "NONE") for party in get_args(PartyCode))
