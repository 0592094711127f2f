"""The contact table: which line, party and outcome go together, and what each combination means.

Four independent fields instead of one code, because one-code lists mix who, what and mood. The table below is the
rule: a combination that it does not hold is refused. What can come of speaking to whom is the same by phone and at the
door, and stands in `shared.rules.outcomes`; here is what the line adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from shared.events.cases import ContactChannelCode, LineCode, OutcomeCode, PartyCode
from shared.rules.model import StopKind
from shared.rules.outcomes import OUTCOMES_OF, is_conversation, is_right_party
from shared.rules.stops import stop_of_outcome

Required = Literal["promise", "note"]

LINES: Final[tuple[LineCode, ...]] = get_args(LineCode)
PARTIES: Final[tuple[PartyCode, ...]] = get_args(PartyCode)
OUTCOMES: Final[tuple[OutcomeCode, ...]] = get_args(OutcomeCode)
DESK_CHANNELS: Final[tuple[ContactChannelCode, ...]] = ("CALL", "INBOUND")
"""What is logged at the phone desk. Messages and letters are notify's, visits fieldvisit's to report."""


@dataclass(frozen=True, slots=True)
class Row:
    """One allowed combination.

    `counts_as_attempt` and `counts_as_effective` are what the contact rules count. `requires` must come with it.
    `stops_case` ends pressure on the customer; `stops_number` means that the number is of no use for this customer.
    """

    line: LineCode
    party: PartyCode
    outcome: OutcomeCode
    counts_as_attempt: bool
    counts_as_effective: bool
    requires: Required | None
    stops_case: StopKind | None
    stops_number: bool


# Nobody was reached: the line says why, and there is nobody who could have said anything.
_NOBODY: Final[tuple[LineCode, ...]] = ("NOAS", "BUSY", "CUT", "OFF", "STOP", "VOID")
_NUMBER_IS_DEAD: Final[frozenset[LineCode]] = frozenset({"VOID", "STOP", "WRONG"})
_WRONG: Final[Mapping[PartyCode, tuple[OutcomeCode, ...]]] = MappingProxyType(
    {"UNREL": ("COMP", "NONE"), "UNK": ("COMP", "NONE")}
)
_REQUIRES: Final[Mapping[OutcomeCode, Required]] = MappingProxyType({"PTP": "promise", "COMP": "note"})


def _combinations() -> Iterator[tuple[LineCode, PartyCode, OutcomeCode]]:
    for line in _NOBODY:
        yield line, "UNK", "NONE"
    for connected, line in ((OUTCOMES_OF, "CONN"), (_WRONG, "WRONG")):
        for party, outcomes in connected.items():
            for outcome in outcomes:
                yield ("CONN" if line == "CONN" else "WRONG"), party, outcome


def _row(line: LineCode, party: PartyCode, outcome: OutcomeCode) -> Row:
    return Row(
        line=line,
        party=party,
        outcome=outcome,
        counts_as_attempt=True,
        counts_as_effective=line == "CONN" and is_conversation(party, outcome),
        requires=_REQUIRES.get(outcome),
        stops_case=stop_of_outcome(outcome),
        stops_number=line in _NUMBER_IS_DEAD,
    )


TABLE: Final[Mapping[tuple[LineCode, PartyCode, OutcomeCode], Row]] = MappingProxyType(
    {combination: _row(*combination) for combination in _combinations()}
)
"""Every allowed combination; what is not here is refused."""


def right_party(row: Row) -> bool:
    """Tell whether this was a right-party contact: a real conversation with the customer in person."""
    return row.line == "CONN" and is_right_party(row.party, row.outcome)


def allowed_outcomes(line: LineCode, party: PartyCode) -> tuple[OutcomeCode, ...]:
    """Return the outcomes that the table allows for a line and a party; empty when these two do not go together."""
    return tuple(outcome for outcome in OUTCOMES if (line, party, outcome) in TABLE)


def allowed_parties(line: LineCode) -> tuple[PartyCode, ...]:
    """Return the parties that the table allows for a line."""
    return tuple(party for party in PARTIES if allowed_outcomes(line, party))
