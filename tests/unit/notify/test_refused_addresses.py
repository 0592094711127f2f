"""An address that nothing reaches is not used again, until the bank changes it; whose fault a refusal is, is read."""

from __future__ import annotations

from typing import Any

import pytest

from services.notify.channels.email import refusal, too_fast
from services.notify.domain.decision import Send, decide
from services.notify.domain.delivery import Answer, NotNow, RefusedForGood
from services.notify.domain.folds import FOLDS, address_refused
from services.notify.domain.model import Customer
from services.notify.domain.notices import reason_of
from shared.events.kinds import Fact
from shared.rules.contact import ContactLedger
from tests.unit.notify.build import MORNING, POLICY, contacts, erased, hours, known_customer, reminder

HERS = "zhang@example.com"


def refused(known: Customer, address: str = HERS) -> Customer:
    return address_refused(known, "email", address, "smtp_550", MORNING)


def told(known: Customer, fact: Fact) -> Customer:
    return FOLDS[type(fact)](known, fact)


def outcome(known: Customer, channel: Any = "email") -> str:
    """The address that is written to, or the code of the reason for which none is."""
    answer = decide(reminder(channel), known, ContactLedger(), MORNING, POLICY)
    return answer.address if isinstance(answer, Send) else answer.reason.code


def test_a_refused_address_is_not_written_to_again_and_other_channels_go_on() -> None:
    """Seen to fail with the first address taken whatever was refused."""
    known = refused(known_customer())
    assert outcome(known) == "address_refused"
    assert outcome(known, "sms") == "+8613800138000"


def test_the_customers_next_mailbox_is_used_instead() -> None:
    known = refused(known_customer(contacts(MORNING + hours(1), emails=(HERS, "work@example.com"))))
    assert outcome(known) == "work@example.com"
    assert outcome(refused(known, "work@example.com")) == "address_refused"


def test_changed_contact_data_lift_it_and_repeated_ones_do_not() -> None:
    """Seen to fail with marks that any contact data lift."""
    known = refused(known_customer())
    assert outcome(told(known, contacts(MORNING + hours(1), name="张三丰"))) == "address_refused"
    changed = told(known, contacts(MORNING + hours(1), emails=("new@example.com",)))
    assert outcome(changed) == "new@example.com"
    again = told(changed, contacts(MORNING + hours(2), emails=(HERS,)))
    assert outcome(again) == HERS


def test_with_the_contact_data_the_mark_is_erased() -> None:
    assert told(refused(known_customer()), erased(MORNING)).unusable == ()
    newer = refused(known_customer(contacts(MORNING + hours(2))))
    assert told(newer, erased(MORNING + hours(1))).unusable == newer.unusable


def test_an_address_that_the_bank_does_not_name_any_more_is_not_kept() -> None:
    known = known_customer()
    assert refused(known, "old@example.com") is known
    once = refused(known)
    assert refused(once) is once
    assert refused(Customer()) == Customer()


@pytest.mark.parametrize(
    ("code", "message", "at_recipient", "answer"),
    [
        (550, "No such user", True, RefusedForGood("smtp_550", HERS)),
        (550, "5.1.1 <zhang@example.com> unknown", True, RefusedForGood("smtp_550", HERS)),
        (550, "5.1.10 no such recipient", False, RefusedForGood("smtp_550", HERS)),
        (550, "5.2.1 mailbox disabled", True, RefusedForGood("smtp_550", HERS)),
        (551, "5.1.6 moved away", True, RefusedForGood("smtp_551", HERS)),
        (553, "mailbox name not allowed", True, RefusedForGood("smtp_553", HERS)),
        (550, "5.1.8 <bank@example.com> sender address rejected", True, RefusedForGood("smtp_550")),
        (553, "5.1.7 sender address syntax", True, RefusedForGood("smtp_553")),
        (550, "5.1.4 ambiguous", True, RefusedForGood("smtp_550")),
        (503, "bad sequence of commands", True, RefusedForGood("smtp_503")),
        (521, "this host takes no mail", True, RefusedForGood("smtp_521")),
        (530, "authentication required", True, RefusedForGood("smtp_530")),
        (552, "out of storage", True, RefusedForGood("smtp_552")),
        (554, "transaction failed", True, RefusedForGood("smtp_554")),
        (552, "5.2.2 mailbox full", True, RefusedForGood("smtp_552")),
        (554, "5.7.1 relaying denied", True, RefusedForGood("smtp_554")),
        (554, "content refused", False, RefusedForGood("smtp_554")),
        (530, "5.7.0 authentication required", False, RefusedForGood("smtp_530")),
        (451, "4.7.1 come again", True, NotNow("smtp_451")),
        (450, "5.1.1 says one thing and means another", True, NotNow("smtp_450")),
    ],
)
def test_only_a_refusal_for_good_that_speaks_of_the_address_is_held_against_it(
    code: int, message: str, at_recipient: bool, answer: Answer
) -> None:
    """Seen to fail with every 5.1.x, and with every bare 5xx to the recipient, held against the address."""
    assert refusal(code, message, HERS, at_recipient=at_recipient) == answer


@pytest.mark.parametrize(
    ("code", "message", "slows"),
    [
        (421, "closing", True),
        (421, "4.7.0 too many messages", True),
        (452, "no room", True),
        (452, "4.3.1 insufficient system storage", True),
        (452, "4.5.3 too many recipients", True),
        (421, "4.4.2 timeout", True),
        (452, "4.2.2 mailbox full", False),
        (421, "4.2.1 mailbox busy", False),
        (450, "4.3.2 later", False),
        (550, "5.3.2 no", False),
    ],
)
def test_only_what_is_said_of_the_server_slows_it(code: int, message: str, slows: bool) -> None:
    """Seen to fail with 452 alone: one customer's full mailbox slowed the mails of all others."""
    assert too_fast(code, message) == slows


def test_a_person_is_told_why_without_the_address() -> None:
    reason = reason_of(RefusedForGood("smtp_550", HERS))
    assert reason is not None
    assert (reason.code, HERS in reason.zh + reason.en) == ("smtp_550", False)
    assert reason.zh == "网关称此地址无效（smtp_550），未发出；更新联系资料前不再使用。"
