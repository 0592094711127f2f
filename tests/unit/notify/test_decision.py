"""May this reminder leave now? Every answer, and why."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from msgspec import structs

from services.notify.domain.decision import CONTACTS_WAIT, Send, Suppress, Wait, decide, ledger_of
from services.notify.domain.folds import opted_out
from services.notify.domain.model import Customer, Reminder
from shared.events.card import AccountCured, StopLifted, StopSet
from shared.events.cases import CaseClosed, CaseRecalled, ContactLogged
from shared.events.kinds import Fact, Reason, StopKind
from shared.money import Money
from shared.rules.contact import ContactLedger
from tests.unit.notify.build import (
    MORNING,
    POLICY,
    case_account,
    contacts,
    customer,
    hours,
    known_customer,
    overdue,
    payment,
    reminder,
)

NIGHT = datetime(2026, 2, 25, 15, 0, tzinfo=UTC)
"""23:00 in Shanghai."""


def verdict(known: Customer, at: datetime = MORNING, wanted: Reminder | None = None) -> Send | Wait | Suppress:
    return decide(wanted or reminder(), known, ContactLedger(), at, POLICY)


def code(answer: Send | Wait | Suppress) -> str:
    return "sent" if isinstance(answer, Send) else answer.reason.code


def test_who_owes_and_can_be_reached_is_reminded_of_what_is_owed_now() -> None:
    answer = verdict(known_customer(payment(23_456)))
    assert isinstance(answer, Send)
    assert answer.address == "+8613800138000"
    assert [each.owed for each in answer.owing] == [Money(100_000, "CNY")]


def test_an_email_goes_to_the_first_mailbox() -> None:
    answer = verdict(known_customer(), wanted=reminder("email"))
    assert isinstance(answer, Send)
    assert answer.address == "zhang@example.com"


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        (payment(), "paid"),
        (AccountCured(customer_id="C1", account_id="A1", as_of=MORNING + hours(1)), "paid"),
        (CaseClosed(case_id="K1", customer_id="C1", reason="paid", closed_at=MORNING), "case_closed"),
        (contacts(MORNING + hours(1), refused_channels=("sms",)), "house.refused_medium"),
        (contacts(MORNING + hours(1), phones=()), "no_address"),
    ],
)
def test_what_ends_a_reminder_suppresses_it_and_says_why(further: Fact, expected: str) -> None:
    assert code(verdict(known_customer(further))) == expected


def test_another_cases_end_ends_nothing_here() -> None:
    closed = CaseClosed(case_id="K0", customer_id="C1", reason="paid", closed_at=MORNING)
    assert code(verdict(known_customer(closed))) == "sent"


KINDS: tuple[StopKind, ...] = (
    "dispute",
    "complaint",
    "cease_contact",
    "hardship",
    "deceased",
    "insolvent",
    "represented",
    "wrong_person",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_stop_suppresses_until_it_is_lifted(kind: StopKind) -> None:
    stopped = known_customer(StopSet(customer_id="C1", kind=kind, set_at=MORNING))
    assert code(verdict(stopped)) == f"house.stop_{kind}"
    lifted = known_customer(
        StopSet(customer_id="C1", kind=kind, set_at=MORNING),
        StopLifted(customer_id="C1", kind=kind, lifted_at=MORNING + hours(1)),
    )
    assert code(verdict(lifted)) == "sent"


def test_a_dispute_named_in_a_conversation_suppresses() -> None:
    logged = ContactLogged(
        contact_id="T1",
        case_id="K1",
        customer_id="C1",
        staff_id="S1",
        channel="CALL",
        line="CONN",
        party="SELF",
        outcome="DISP",
        contacted_at=MORNING,
    )
    assert code(verdict(known_customer(logged))) == "house.stop_dispute"


def test_an_opt_out_suppresses_its_own_medium_only() -> None:
    known = opted_out(known_customer(), "sms", MORNING)
    assert code(verdict(known)) == "house.refused_medium"
    assert code(verdict(known, wanted=reminder("email"))) == "sent"


def test_at_night_it_waits_for_eight_in_the_morning_of_the_customers_zone() -> None:
    answer = verdict(known_customer(), NIGHT)
    assert answer == Wait(datetime(2026, 2, 26, 0, 0, tzinfo=UTC), _reason(answer))
    assert code(answer) == "cn-card.night"


def test_the_night_is_the_customers_own() -> None:
    known = known_customer(contacts(MORNING + hours(1), time_zone="Europe/Berlin"))
    assert code(verdict(known, NIGHT)) == "sent"
    assert verdict(known, MORNING) == Wait(datetime(2026, 2, 25, 7, 0, tzinfo=UTC), _reason(verdict(known, MORNING)))


def _reason(answer: Send | Wait | Suppress) -> Reason:
    assert isinstance(answer, Wait)
    return answer.reason


def test_consent_to_night_contact_lifts_the_night() -> None:
    assert code(verdict(known_customer(contacts(MORNING + hours(1), night_contact_consent=True)), NIGHT)) == "sent"


def test_a_zone_that_does_not_exist_is_read_as_the_issuers() -> None:
    known = known_customer(contacts(MORNING + hours(1), time_zone="Nowhere/Land"))
    assert code(verdict(known, NIGHT)) == "cn-card.night"


def test_a_refusal_comes_before_the_night() -> None:
    stopped = known_customer(StopSet(customer_id="C1", kind="dispute", set_at=MORNING))
    assert code(verdict(stopped, NIGHT)) == "house.stop_dispute"


def test_contact_data_on_their_way_are_awaited_for_a_day_and_no_longer() -> None:
    unknown = customer(overdue())
    assert code(verdict(unknown)) == "contacts_awaited"
    assert code(verdict(unknown, MORNING + CONTACTS_WAIT)) == "contacts_unknown"


def test_of_whom_nothing_overdue_was_reported_nothing_is_asked() -> None:
    assert code(verdict(customer(contacts()))) == "nothing_owed"


def test_only_accounts_that_still_owe_are_named() -> None:
    wanted = reminder("sms", case_account("A1"), case_account("A2", "USD", 500))
    known = known_customer(overdue("A2", 500, "USD"), payment())
    answer = verdict(known, wanted=wanted)
    assert isinstance(answer, Send)
    assert [(each.account.account_id, each.owed) for each in answer.owing] == [("A2", Money(500, "USD"))]


def test_after_the_day_to_pay_by_it_is_not_sent_any_more() -> None:
    late = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
    assert code(verdict(known_customer(), late)) == "overtaken"
    on_the_day = datetime(2026, 2, 28, 13, 0, tzinfo=UTC)
    assert code(verdict(known_customer(), on_the_day)) == "sent"


def test_a_recall_of_the_case_ends_earlier_reminders_and_not_later_ones() -> None:
    recall = CaseRecalled(
        case_id="K1", customer_id="C1", hand_over_id=None, reason=Reason("r", "撤回", "recall"), recalled_at=MORNING
    )
    assert code(verdict(known_customer(recall))) == "case_recalled"
    later = structs.replace(reminder(), due_at=MORNING + hours(1))
    assert code(verdict(known_customer(recall), MORNING + hours(1), later)) == "sent"
    of_a_visit = structs.replace(recall, hand_over_id="H1")
    assert code(verdict(known_customer(of_a_visit))) == "sent"


def test_messages_that_left_count_as_contacts_by_an_opaque_method() -> None:
    (attempt,) = ledger_of([(MORNING, "sms", "+8613800138000")]).attempts
    assert (attempt.at, attempt.channel) == (MORNING, "sms")
    assert "138" not in attempt.method


def test_the_day_to_pay_by_is_of_the_customers_calendar() -> None:
    known = known_customer(contacts(MORNING + hours(1), time_zone="America/Los_Angeles"))
    wanted = structs.replace(reminder(), pay_by=date(2026, 2, 25))
    assert code(verdict(known, datetime(2026, 2, 26, 3, 0, tzinfo=UTC), wanted)) == "sent"
