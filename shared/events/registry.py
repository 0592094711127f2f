"""Which facts there are, on which topic each travels, and who alone writes it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shared.events import card, cases, contacts, notices, risk, staff, visits
from shared.events.kinds import Erasure, Fact


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, its one writing service, and whether old facts of a key are compacted away."""

    name: str
    writer: str
    compacted: bool = False

    def full_name(self, namespace: str) -> str:
        """Return the name that the broker knows; two deployments on one broker have two namespaces."""
        return f"{namespace}.{self.name}.v1"

    @property
    def source(self) -> str:
        """The CloudEvents source of every fact on it."""
        return f"/arrears/{self.writer}"


@dataclass(frozen=True, slots=True)
class FactType:
    """A kind of fact: its CloudEvents type, its model, its topic, and the field that is its key.

    `key_fields` are tried in order; the first that is not null is the key.
    """

    name: str
    model: type[Fact]
    topic: Topic
    key_fields: tuple[str, ...]

    @property
    def erases(self) -> bool:
        """Whether its record has no value: with the older facts of its key it is compacted away (C1)."""
        return issubclass(self.model, Erasure)

    def key_of(self, fact: Fact) -> str:
        """Return the key of `fact`: the customer it is about, or the colleague."""
        for name in self.key_fields:
            value: str | None = getattr(fact, name)
            if value is not None:
                return value
        raise ValueError(f"{self.name} without a key")


CARD = Topic("card", "ingest")
CONTACTS = Topic("contacts", "ingest", compacted=True)
STAFF = Topic("staff", "assignment", compacted=True)
RISK = Topic("risk", "scoring")
CASES = Topic("cases", "assignment")
VISITS = Topic("visits", "fieldvisit")
NOTICES = Topic("notices", "notify")

TOPICS: tuple[Topic, ...] = (CARD, CONTACTS, STAFF, RISK, CASES, VISITS, NOTICES)
"""All topics, in the order in which a batch folds them: stops and payments before what they stop."""

IN_ORDER: dict[str, dict[str, str]] = {
    "assignment": {
        "visits": "a visit's end ends its hand-over: taken before it began, it leaves the case in the field for ever"
    },
    "fieldvisit": {
        "cases": "a withdrawal is final: handed over before it was opened, an earlier episode's payment would end it"
    },
}
"""{service: {topic: why}}: of these topics a customer's facts are taken in the order of the stream and no other (D2).

All other folds give one state whatever the order, and nothing is held back for them: `card` counts payments by their
id and takes snapshots and stops by their instant, `contacts` holds the latest instant, `staff` and `risk` the highest
version, `notices` only tells a timeline; scoring keeps ledgers, and notify ledgers, marks and rows with keys of their
own. Nor should it be: a payment must be known at once.
"""

_CUSTOMER = ("customer_id",)
_EITHER = ("customer_id", "staff_id")

FACT_TYPES: tuple[FactType, ...] = tuple(
    FactType(f"arrears.{name}.v1", model, topic, key_fields)
    for name, model, topic, key_fields in (
        ("account.overdue_reported", card.AccountOverdueReported, CARD, _CUSTOMER),
        ("account.cured", card.AccountCured, CARD, _CUSTOMER),
        ("payment.posted", card.PaymentPosted, CARD, _CUSTOMER),
        ("payment.reversed", card.PaymentReversed, CARD, _CUSTOMER),
        ("customer.stop_set", card.StopSet, CARD, _CUSTOMER),
        ("customer.stop_lifted", card.StopLifted, CARD, _CUSTOMER),
        ("customer.contacts_changed", contacts.CustomerContactsChanged, CONTACTS, _CUSTOMER),
        ("contacts.erased", contacts.CustomerContactsErased, CONTACTS, _CUSTOMER),
        ("staff.changed", staff.StaffChanged, STAFF, ("staff_id",)),
        ("account.graded", risk.AccountGraded, RISK, _CUSTOMER),
        ("case.opened", cases.CaseOpened, CASES, _CUSTOMER),
        ("case.routed", cases.CaseRouted, CASES, _CUSTOMER),
        ("case.assigned", cases.CaseAssigned, CASES, _CUSTOMER),
        ("case.handed_over", cases.CaseHandedOver, CASES, _CUSTOMER),
        ("case.recalled", cases.CaseRecalled, CASES, _CUSTOMER),
        ("case.closed", cases.CaseClosed, CASES, _CUSTOMER),
        ("contact.logged", cases.ContactLogged, CASES, _CUSTOMER),
        ("promise.made", cases.PromiseMade, CASES, _CUSTOMER),
        ("promise.kept", cases.PromiseKept, CASES, _CUSTOMER),
        ("promise.broken", cases.PromiseBroken, CASES, _CUSTOMER),
        ("proposal.made", cases.ProposalMade, CASES, _CUSTOMER),
        ("proposal.ended", cases.ProposalEnded, CASES, _CUSTOMER),
        ("reminder.due", cases.ReminderDue, CASES, _CUSTOMER),
        ("field_list.filed", cases.FieldListFiled, CASES, ("phone_agent_id",)),
        ("visit.accepted", visits.VisitAccepted, VISITS, _CUSTOMER),
        ("visit.planned", visits.VisitPlanned, VISITS, _CUSTOMER),
        ("plan.filed", visits.PlanFiled, VISITS, ("field_agent_id",)),
        ("visit.started", visits.VisitStarted, VISITS, _CUSTOMER),
        ("visit.completed", visits.VisitCompleted, VISITS, _CUSTOMER),
        ("visit.missed", visits.VisitMissed, VISITS, _CUSTOMER),
        ("visit.breached", visits.VisitBreached, VISITS, _CUSTOMER),
        ("visit.withdrawn", visits.VisitWithdrawn, VISITS, _CUSTOMER),
        ("notice.sent", notices.NoticeSent, NOTICES, _EITHER),
        ("notice.delivered", notices.NoticeDelivered, NOTICES, _EITHER),
        ("notice.undelivered", notices.NoticeUndelivered, NOTICES, _EITHER),
        ("notice.failed", notices.NoticeFailed, NOTICES, _EITHER),
        ("notice.suppressed", notices.NoticeSuppressed, NOTICES, _EITHER),
        ("notice.unconfirmed", notices.NoticeUnconfirmed, NOTICES, _EITHER),
        ("customer.opted_out", notices.CustomerOptedOut, NOTICES, _CUSTOMER),
    )
)

VOIDED = "arrears.bus.voided.v1"
"""What travels under a number that was given up, on any topic: the number counts as taken, and nothing happens."""

BY_NAME: dict[str, FactType] = {kind.name: kind for kind in FACT_TYPES}
BY_MODEL: dict[type[Fact], FactType] = {kind.model: kind for kind in FACT_TYPES}


def json_schema(kind: FactType) -> dict[str, object]:
    """Return the JSON Schema (2020-12) of a fact's value; its golden copy is `schemas/<type>.json`."""
    (reference,), components = msgspec.json.schema_components((kind.model,), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{kind.name.replace('.', ':')}",
        "title": kind.name,
        **reference,
        "$defs": components,
    }
