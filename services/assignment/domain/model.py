"""What assignment knows of one customer: the accounts' debts, the stops, the reach, and the case.

Everything is a frozen value; a decision makes a new one. The whole is stored as one JSON document a customer, so the
fields have defaults and what is not said is not stored.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from shared.events.cases import CaseAccount, CloseReason, ProposedQueue, Queue
from shared.events.kinds import Amount, Bucket, Grade, Language, Reason
from shared.rules.aging import BUCKETS, bucket, days_past_due
from shared.rules.contact import ContactLedger
from shared.rules.paid import AccountLedger, is_paid, owed
from shared.rules.stops import Stops, active

GRADES: tuple[Grade, ...] = ("A", "B", "C", "D", "E")


class Details(Struct, frozen=True, array_like=True):
    """What the newest overdue snapshot says of an account beside its debt; minor units of the ledger's currency."""

    as_of: datetime
    past_due: int
    due_date: date
    card_last4: str
    product_code: str
    min_payment_due: int


class Account(Struct, frozen=True, omit_defaults=True):
    """One account: its debt, its details, its newest grade. A fact that came first made a stub of the rest."""

    ledger: AccountLedger
    details: Details | None = None
    cured_at: datetime | None = None
    grade: Grade | None = None
    grading: int = 0

    @property
    def owes(self) -> bool:
        """Whether something is past due."""
        return not is_paid(self.ledger)

    @property
    def due_date(self) -> date | None:
        """The oldest unpaid due date; after a cure that was undone by a reversal, the one that was overdue before."""
        told = self.ledger.snapshot.oldest_due if self.ledger.snapshot else None
        return told or (self.details.due_date if self.details else None)

    def bucket(self, today: date) -> Bucket:
        """Return the bucket on `today`, a date of the issuer; M0 while nothing is owed."""
        due = self.due_date
        return bucket(days_past_due(due, today)) if due is not None and self.owes else "M0"


class Phone(Struct, frozen=True, array_like=True):
    """A number of the customer's; `phone_id` is what the API and the contact rules call it."""

    phone_id: str
    number: str
    kind: str


class Reach(Struct, frozen=True, omit_defaults=True):
    """How the phone desk reaches the customer; no more of the customer's contacts is kept here.

    `areas`: the districts and cities of the addresses, by which a collector who covers them is found.
    """

    as_of: datetime
    name: str
    language: Language
    time_zone: str
    phones: tuple[Phone, ...] = ()
    night_consent: bool = False
    refused: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()


class RunningStep(Struct, frozen=True, omit_defaults=True):
    """The step that a case is in. `days`: the set time, renewable; `lapses_at`: when the plan takes its next step;
    `strategy`: name and version of the strategy by which it was entered.

    A step without `lapses_at` stays until the case is paid, stopped or handed over.
    """

    name: str
    queue: Queue
    segment: str
    entered_at: datetime
    days: int | None = None
    set_date: date | None = None
    lapses_at: datetime | None = None
    strategy: str = ""


class Promise(Struct, frozen=True):
    """An open promise to pay; it is judged when payments reach the amount, or at `lapses_at`."""

    promise_id: str
    currency: str
    amount: int
    pay_by: date
    made_at: datetime
    ends_at: datetime
    lapses_at: datetime


class HandOver(Struct, frozen=True, omit_defaults=True):
    """The case is with a field collector. `visit_id` is known once fieldvisit has accepted."""

    hand_over_id: str
    list_id: str
    field_agent_id: str
    at: datetime
    visit_id: str | None = None


class Proposal(Struct, frozen=True, omit_defaults=True):
    """Law or an agency was proposed and waits for a supervisor. `by`: the colleague; None: the plan, at its `step`."""

    proposal_id: str
    queue: ProposedQueue
    at: datetime
    reasons: tuple[Reason, ...]
    by: str | None = None
    step: str | None = None


class Waiver(Struct, frozen=True):
    """A supervisor's recorded decision that should-rules do not hold for this case on one local day."""

    supervisor_id: str
    reason: str
    day: date


class Case(Struct, frozen=True, omit_defaults=True):
    """One delinquency episode. `step` is None while the case gathers (until `begins_at`) or is held by a stop.

    `aside`: the queue in which the case is worked instead of its step's, while hardship or a lost contact lasts.

    `touched`: the steps it has been in since it came to the phone last; `declined`: the plan's steps that a supervisor
    refused, which the plan proposes no more in this episode, whatever happens.

    `account_ids`: every account that owed something during the episode. `trace` is the trace of the fact that opened
    it, which later facts of timers go on with.
    """

    case_id: str
    number: int
    opened_at: datetime
    bucket: Bucket
    grade: Grade | None = None
    account_ids: tuple[str, ...] = ()
    trace: str | None = None
    begins_at: datetime | None = None
    step: RunningStep | None = None
    touched: tuple[str, ...] = ()
    declined: tuple[str, ...] = ()
    collector: str | None = None
    team: str | None = None
    earlier_collector: str | None = None
    promise: Promise | None = None
    broken_promises: int = 0
    broken_at: datetime | None = None
    tries: int = 0
    contacted_at: datetime | None = None
    heard_at: datetime | None = None
    offer_from: datetime | None = None
    hand_over: HandOver | None = None
    waiver: Waiver | None = None
    proposal: Proposal | None = None
    aside: Queue | None = None
    closed_at: datetime | None = None
    close_reason: CloseReason | None = None

    @property
    def open(self) -> bool:
        """Whether the episode goes on."""
        return self.closed_at is None

    @property
    def queue(self) -> Queue | None:
        """The queue in which the case is worked; None before its first step and after its close."""
        return self.aside or (self.step.queue if self.step else None)


class Customer(Struct, frozen=True, omit_defaults=True):
    """The whole of what assignment knows of one customer; `case` is the newest episode, open or closed.

    `erased_as_of`: contact data this old or older were erased, and do not come back.
    """

    customer_id: str
    accounts: dict[str, Account] = {}
    stops: Stops = Stops()
    reach: Reach | None = None
    erased_as_of: datetime | None = None
    calls: ContactLedger = ContactLedger()
    dead_phones: tuple[str, ...] = ()
    episodes: int = 0
    case: Case | None = None

    @property
    def open_case(self) -> Case | None:
        """The open case, if there is one."""
        return self.case if self.case is not None and self.case.open else None

    @property
    def stopped(self) -> bool:
        """Whether any stop is in force: nobody presses."""
        return bool(active(self.stops))

    @property
    def erased(self) -> bool:
        """Whether it is known that nothing may be known of how to reach the customer."""
        return self.reach is None and self.erased_as_of is not None

    def owing(self) -> tuple[tuple[str, Account], ...]:
        """Return the accounts on which something is owed, by id.

        Of an account that was only ever cured, and then had a payment taken back, no due date is known: nobody can say
        what to pay by when, so nothing is asked for before a snapshot tells.
        """
        return tuple(
            (account_id, self.accounts[account_id])
            for account_id in sorted(self.accounts)
            if self.accounts[account_id].owes and self.accounts[account_id].due_date is not None
        )


EntryKind = Literal[
    "case_opened",
    "case_routed",
    "case_assigned",
    "case_unassigned",
    "case_aged",
    "case_graded",
    "step_renewed",
    "plan_ended",
    "reminder_due",
    "notice",
    "opted_out",
    "payment",
    "payment_reversed",
    "stop_set",
    "stop_lifted",
    "contacts_erased",
    "contact",
    "promise_made",
    "promise_kept",
    "promise_broken",
    "promise_ended",
    "waiver",
    "proposal_made",
    "proposal_confirmed",
    "proposal_declined",
    "proposal_withdrawn",
    "handed_over",
    "recalled",
    "visit",
    "case_closed",
]


EntryData = dict[str, str | int | bool | None]


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line of a case's timeline: what happened, in words; `data` holds codes and amounts, never personal data."""

    case_id: str
    kind: EntryKind
    at: datetime
    zh: str
    en: str
    data: EntryData = {}


def amounts_owed(customer: Customer) -> tuple[Amount, ...]:
    """Return what is past due, one amount a currency, by code; two currencies are never added."""
    sums: dict[str, int] = {}
    for _, account in customer.owing():
        money = owed(account.ledger)
        if money is not None:
            sums[money.currency] = sums.get(money.currency, 0) + money.minor
    return tuple(Amount(code, sums[code]) for code in sorted(sums))


def worst_grade(customer: Customer) -> Grade | None:
    """Return the worst grade among the owing accounts; None while none of them is graded."""
    grades = [account.grade for _, account in customer.owing() if account.grade is not None]
    return max(grades, key=GRADES.index, default=None)


def worst_bucket(customer: Customer, today: date) -> Bucket:
    """Return the bucket of the account that is overdue longest."""
    return max((account.bucket(today) for _, account in customer.owing()), key=BUCKETS.index, default="M0")


def case_accounts(customer: Customer) -> tuple[CaseAccount, ...]:
    """Return the owing accounts as facts state them, the longest overdue first."""
    rows = []
    for account_id, account in customer.owing():
        money, details = owed(account.ledger), account.details
        if money is None or details is None:
            continue
        rows.append(
            CaseAccount(
                account_id=account_id,
                card_last4=details.card_last4,
                product_code=details.product_code,
                due_date=account.due_date or details.due_date,
                currency=money.currency,
                owed=money.minor,
                min_payment_due=details.min_payment_due,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.due_date, row.account_id)))
