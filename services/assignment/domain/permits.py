"""May the customer be contacted? What the contact rules say to a call, a message and to sending somebody at all."""

from __future__ import annotations

from datetime import date, datetime

from services.assignment.domain.model import Case, Customer, Phone
from services.assignment.domain.policy import Policy
from shared.errors import Problem
from shared.rules.contact import Allowed, ContactLedger, ContactRequest, Decision, NotBefore, Override, decide
from shared.rules.model import Channel, Consent, Purpose, RuleRef, StopKind
from shared.rules.stops import active
from shared.rules.zones import customer_zone

NO_PHONE = "none"
"""What calls are counted by while no number of the customer is known."""


def usable_phones(customer: Customer) -> tuple[Phone, ...]:
    """Return the customer's numbers that have not turned out dead or a stranger's."""
    phones = customer.reach.phones if customer.reach else ()
    return tuple(phone for phone in phones if phone.phone_id not in customer.dead_phones)


def may_call(
    customer: Customer,
    policy: Policy,
    at: datetime,
    *,
    purpose: Purpose = "collection",
    phone_id: str | None = None,
    stops: frozenset[StopKind] | None = None,
) -> Decision:
    """Return whether the customer may be called at `at`: allowed, not before an instant, or refused with the rule.

    `stops`: those that held then, for a call that was made before now; else all that are in force count.
    """
    reach = customer.reach
    phones = usable_phones(customer)
    refused: frozenset[Channel] = frozenset({"call"} if reach and "call" in reach.refused else ())
    request = ContactRequest(
        channel="call",
        purpose=purpose,
        at=at,
        zone=customer_zone(reach.time_zone if reach else None, None, policy.zone),
        method=phone_id or (phones[0].phone_id if phones else NO_PHONE),
        stops=active(customer.stops) if stops is None else stops,
        refused_channels=refused,
        consents=_consents(customer),
        override=_override(customer.open_case, policy.day_of(at)),
    )
    return decide(request, customer.calls, policy.book)


def first_message_day(customer: Customer, policy: Policy, at: datetime) -> date:
    """Return the issuer's day on which a message that is decided at `at` can leave: at night, the morning's."""
    reach = customer.reach
    request = ContactRequest(
        channel="sms",
        purpose="reminder",
        at=at,
        zone=customer_zone(reach.time_zone if reach else None, None, policy.zone),
        method=NO_PHONE,
        consents=_consents(customer),
    )
    decision = decide(request, ContactLedger(), policy.book)
    return policy.day_of(decision.until if isinstance(decision, NotBefore) else at)


def may_visit(customer: Customer, policy: Policy, at: datetime) -> RuleRef | None:
    """Return the rule by which nobody may be sent to the customer at all (a stop, a refused visit), or None.

    Hours and team are the visit plan's matter; here only that is asked which waiting does not mend.
    """
    reach = customer.reach
    refused: frozenset[Channel] = frozenset({"visit"} if reach and "visit" in reach.refused else ())
    request = ContactRequest(
        channel="visit",
        purpose="collection",
        at=at,
        zone=policy.zone,
        method=NO_PHONE,
        stops=active(customer.stops),
        refused_channels=refused,
        consents=frozenset({"night_contact"}),
        team_size=99,
    )
    decision = decide(request, customer.calls, policy.book)
    return None if isinstance(decision, Allowed) else decision.because


def refused_by_rule(because: RuleRef, until: datetime | None = None) -> Problem:
    """Return the problem that says which rule forbids the contact, in which version, from what source."""
    return Problem(
        "refused_by_rule",
        because.reason_zh,
        because.reason_en,
        extra={
            "rule": because.rule_id,
            "pack": f"{because.pack}@{because.pack_version}",
            "source": because.source,
            "strength": because.strength,
            "not_before": until.isoformat() if until else None,
        },
    )


def _consents(customer: Customer) -> frozenset[Consent]:
    return frozenset({"night_contact"} if customer.reach and customer.reach.night_consent else ())


def _override(case: Case | None, day: date) -> Override | None:
    waiver = case.waiver if case else None
    if waiver is None or waiver.day != day:
        return None
    return Override(supervisor_id=waiver.supervisor_id, reason=waiver.reason)
