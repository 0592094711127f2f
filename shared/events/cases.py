"""Facts of the topic `cases`: the case, its plan, its promises and hand-overs. Written by assignment alone."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.events.kinds import (
    Amount,
    Bucket,
    Code,
    Currency,
    Fact,
    Grade,
    Instant,
    Key,
    LastFour,
    MessageChannel,
    Minor,
    PositiveMinor,
    Reason,
)

Queue = Literal["reminder", "phone", "field", "hardship", "skip", "legal", "agency"]
ProposedQueue = Literal["legal", "agency"]
ProposalOutcome = Literal["confirmed", "declined", "withdrawn"]
ContactChannelCode = Literal["CALL", "SMS", "EMAIL", "LETTER", "VISIT", "INBOUND"]
LineCode = Literal["CONN", "NOAS", "BUSY", "CUT", "OFF", "STOP", "VOID", "WRONG"]
PartyCode = Literal["SELF", "GUAR", "REL", "UNREL", "UNK"]
OutcomeCode = Literal["PTP", "PAID", "REFUSE", "HARD", "DISP", "COMP", "PROT", "RELAY", "CALLBK", "INFO", "NONE"]
CloseReason = Literal["paid", "cured", "nothing_owed"]


class CaseAccount(Struct, frozen=True, kw_only=True):
    """One overdue account of a case, as far as a notice or a visit needs it."""

    account_id: Key
    card_last4: LastFour
    product_code: Code
    due_date: date
    currency: Currency
    owed: Minor
    min_payment_due: Minor


class CaseOpened(Fact, frozen=True, kw_only=True):
    """A customer's delinquency episode began; it holds all overdue accounts of the customer."""

    case_id: Key
    customer_id: Key
    opened_at: Instant
    accounts: tuple[CaseAccount, ...]
    bucket: Bucket


class CaseRouted(Fact, frozen=True, kw_only=True):
    """The collection plan put the case into a queue, and says why."""

    case_id: Key
    customer_id: Key
    queue: Queue
    step: Code
    bucket: Bucket
    grade: Grade | None
    strategy: Code
    strategy_version: Code
    reasons: tuple[Reason, ...]
    routed_at: Instant


class CaseAssigned(Fact, frozen=True, kw_only=True):
    """The case has a collector, with the reasons for this one.

    `earlier_staff_id`: from whom it was taken over, if it was somebody's. `strategy_version`: of what was decided by;
    both are missing from facts of the time before reasons were told.
    """

    case_id: Key
    customer_id: Key
    queue: Queue
    staff_id: Key
    team: Key
    assigned_at: Instant
    earlier_staff_id: Key | None = None
    reasons: tuple[Reason, ...] = ()
    strategy: Code | None = None
    strategy_version: Code | None = None


class CaseHandedOver(Fact, frozen=True, kw_only=True):
    """The phone collector handed the case to a named field collector; two working days run from `handed_over_at`."""

    hand_over_id: Key
    list_id: Key
    case_id: Key
    customer_id: Key
    phone_agent_id: Key
    field_agent_id: Key
    team: Key
    handed_over_at: Instant
    bucket: Bucket
    grade: Grade | None
    owed: tuple[Amount, ...]


class CaseRecalled(Fact, frozen=True, kw_only=True):
    """The case was taken back out of the field; a visit that has not begun is not made."""

    case_id: Key
    customer_id: Key
    hand_over_id: Key | None
    reason: Reason
    recalled_at: Instant


class CaseClosed(Fact, frozen=True, kw_only=True):
    """The episode is over; everything that is still planned for it ends at once."""

    case_id: Key
    customer_id: Key
    reason: CloseReason
    closed_at: Instant


class ContactLogged(Fact, frozen=True, kw_only=True):
    """A contact with a customer, in four independent fields. The collector's note stays with assignment."""

    contact_id: Key
    case_id: Key
    customer_id: Key
    staff_id: Key
    channel: ContactChannelCode
    line: LineCode
    party: PartyCode
    outcome: OutcomeCode
    contacted_at: Instant


class PromiseMade(Fact, frozen=True, kw_only=True):
    """The customer promised to pay an amount by the end of a day."""

    promise_id: Key
    case_id: Key
    customer_id: Key
    currency: Currency
    amount: PositiveMinor
    pay_by: date
    made_at: Instant


class PromiseKept(Fact, frozen=True, kw_only=True):
    """The posted payments reached the promised amount in time."""

    promise_id: Key
    case_id: Key
    customer_id: Key
    kept_at: Instant


class PromiseBroken(Fact, frozen=True, kw_only=True):
    """The promised day passed without the promised amount."""

    promise_id: Key
    case_id: Key
    customer_id: Key
    paid: Minor
    broken_at: Instant


class ReminderDue(Fact, frozen=True, kw_only=True):
    """The plan asks for one reminder by one channel, with a date to pay by.

    `reminder_id` is the natural key: one step of one case through one channel, once.
    """

    reminder_id: Key
    case_id: Key
    customer_id: Key
    step: Code
    channel: MessageChannel
    template: Code
    pay_by: date
    accounts: Annotated[tuple[CaseAccount, ...], Meta(min_length=1)]
    due_at: Instant


class ProposalMade(Fact, frozen=True, kw_only=True):
    """Law or an agency is proposed for the case; nothing comes of it before a supervisor confirms.

    `proposed_by`: the colleague who proposes it; None: the collection plan.
    """

    proposal_id: Key
    case_id: Key
    customer_id: Key
    queue: ProposedQueue
    proposed_by: Key | None
    reasons: tuple[Reason, ...]
    strategy: Code
    strategy_version: Code
    proposed_at: Instant


class ProposalEnded(Fact, frozen=True, kw_only=True):
    """A supervisor confirmed or declined the proposal, or what it rested on no longer holds (`decided_by` is None)."""

    proposal_id: Key
    case_id: Key
    customer_id: Key
    queue: ProposedQueue
    outcome: ProposalOutcome
    decided_by: Key | None
    reason: Reason
    ended_at: Instant


class ListedHandOver(Struct, frozen=True, kw_only=True):
    """One line of the daily field list."""

    hand_over_id: Key
    case_id: Key
    field_agent_id: Key
    bucket: Bucket
    grade: Grade | None
    owed: tuple[Amount, ...]


class FieldListFiled(Fact, frozen=True, kw_only=True):
    """A phone collector filed the day's list of hand-overs with the supervisor. Keyed by the phone collector."""

    list_id: Key
    phone_agent_id: Key
    team: Key
    day: date
    filed_at: Instant
    hand_overs: tuple[ListedHandOver, ...]
