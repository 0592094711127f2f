"""What a reader sees: amounts, dates, cards; and that nothing of a customer's data can pose as the bank's words."""

from __future__ import annotations

import unicodedata
from datetime import date
from email.headerregistry import Address

from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.email import mime
from services.notify.domain.decision import Send, decide
from services.notify.domain.delivery import Message
from services.notify.domain.masking import masked
from services.notify.domain.wording import day_words, instant_words, plain, reminder_words
from services.notify.rendering import load_issuer
from shared.rules.contact import ContactLedger
from tests.unit.notify.build import MORNING, POLICY, case_account, contacts, customer, overdue, reminder


def test_amounts_stand_by_currency_and_are_never_added_across() -> None:
    wanted = reminder("sms", case_account("A1"), case_account("A2", "USD", 500), case_account("A3"))
    known = customer(overdue("A1", 100), overdue("A2", 500, "USD"), overdue("A3", 250), contacts())
    send = decide(wanted, known, ContactLedger(), MORNING, POLICY)
    assert isinstance(send, Send)
    words = reminder_words(wanted, send, load_issuer(), MORNING)
    assert words["totals"] == ["¥3.50", "US$5.00"]
    assert [account["owed"] for account in words["accounts"]] == ["¥1.00", "US$5.00", "¥2.50"]
    assert words["pay_by"] == "2026年2月28日"
    assert words["today"] == "2026年2月25日"


def test_dates_and_instants_are_read_in_both_languages_by_the_readers_clock() -> None:
    assert (day_words(date(2026, 3, 4), "zh"), day_words(date(2026, 3, 4), "en")) == ("2026年3月4日", "4 March 2026")
    assert instant_words(MORNING, "zh", "Asia/Shanghai") == "2026年2月25日 09:00"
    assert instant_words(MORNING, "en", "Europe/Berlin") == "25 February 2026 02:00"


@given(st.text())
def test_a_name_stays_on_one_line_without_invisible_characters(name: str) -> None:
    shown = plain(name)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(char).startswith("C") for char in shown)
    assert plain(shown) == shown


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_subject_or_name_smuggles_a_header_into_a_mail(subject: str, name: str) -> None:
    message = Message(notice_id="n-1", channel="email", address="z@example.com", subject=plain(subject), text=name)
    mail = mime(message, Address("Bank", addr_spec="notice@bank.example"), "Wed, 25 Feb 2026 01:00:00 GMT")
    assert sorted(mail.keys()) == sorted(
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "X-Notice-Id",
            "Content-Type",
            "Content-Transfer-Encoding",
            "MIME-Version",
        ]
    )
    assert mail["To"] == "z@example.com"


def test_addresses_are_masked() -> None:
    assert masked("+8613800138000") == "+86138****8000"
    assert masked("zhang@example.com") == "z***@example.com"
    assert masked("+8612345") == "****45"
