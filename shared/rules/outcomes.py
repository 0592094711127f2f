"""Who was met and what can come of it, by phone or at the door: one table for every service that logs a contact.

Nobody but who owes promises, pays, disputes or pleads hardship, and nothing of the debt is told to others (card
measures art. 68; GB/T 45251-2025; CBA guideline 2026-01-30).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.events.cases import OutcomeCode, PartyCode

DEBTORS: Final[frozenset[PartyCode]] = frozenset({"SELF", "GUAR"})
"""Who owes; a conversation with them is effective."""

_WITH_DEBTOR: Final[tuple[OutcomeCode, ...]] = (
    "PTP", "PAID", "REFUSE", "HARD", "DISP", "COMP", "PROT", "CALLBK", "INFO", "NONE",
)  # fmt: skip

OUTCOMES_OF: Final[Mapping[PartyCode, tuple[OutcomeCode, ...]]] = MappingProxyType(
    {
        "SELF": _WITH_DEBTOR,
        "GUAR": _WITH_DEBTOR,
        "REL": ("RELAY", "CALLBK", "COMP", "PROT", "NONE"),
        "UNREL": ("RELAY", "COMP", "PROT", "NONE"),
        "UNK": ("CALLBK", "COMP", "NONE"),
    }
)
"""What can come of meeting or speaking to whom."""


def is_conversation(party: PartyCode, outcome: OutcomeCode) -> bool:
    """Tell whether this was a conversation with somebody who owes."""
    return party in DEBTORS and outcome != "NONE"


def is_right_party(party: PartyCode, outcome: OutcomeCode) -> bool:
    """Tell whether this was a right-party contact: a conversation with the customer in person."""
    return party == "SELF" and is_conversation(party, outcome)
