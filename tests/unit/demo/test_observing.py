from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.demo import events
from deploy.demo.events import Event
from deploy.demo.invariants import Seen
from deploy.demo.observing import (
    Cases,
    arrivals,
    final_counts,
    gaps_in,
    missing_effects,
    notice_id_of,
    repeated_entries,
)
from deploy.demo.story import load

NOW = datetime(2026, 2, 25, 1, tzinfo=UTC)
STORY = load()
HERO = STORY.customers[0]
CARD = HERO.accounts[0]
KINDS = ("payment", "payment_reversed", "stop_set", "stop_lifted", "opted_out")


def entry(kind: str, **data: str) -> Mapping[str, Any]:
    return {"kind": kind, "data": data}


def told() -> list[Event]:
    return [
        events.contacts_changed(HERO, NOW, STORY.zone, STORY.city),
        events.overdue_reported(HERO, CARD, NOW, STORY.zone_info),
        events.payment_posted(HERO.customer_id, CARD, 1, 100, NOW),
        events.payment_reversed(HERO.customer_id, CARD, 1, 100, NOW),
        events.stop_set(HERO.customer_id, "dispute", NOW),
        events.stop_lifted(HERO.customer_id, "dispute", NOW),
        events.opted_out(HERO.customer_id, NOW),
        events.account_cured(HERO.customer_id, CARD, NOW),
    ]


def effects(*left_out: str) -> Cases:
    kinds = [kind for kind in KINDS if kind not in left_out]
    case = {
        "case_id": "K1",
        "customer_id": HERO.customer_id,
        "customer": None if "contacts" in left_out else {"name": "张*"},
        "close_reason": None if "cure" in left_out else "cured",
        "status": "closed",
        "queue": None,
    }
    grades = [] if "grade" in left_out else [{"account_id": CARD.account_id}]
    return Cases([case], {"K1": [entry(kind) for kind in kinds]}, grades)


def test_every_accepted_event_is_looked_for_and_the_missing_one_is_named() -> None:
    assert list(missing_effects(told(), effects())) == []
    for left_out in KINDS:
        assert list(missing_effects(told(), effects(left_out))) == [f"{left_out} of {HERO.customer_id}"]
    ids = [event["id"] for event in told()]
    for left_out, place in (("contacts", 0), ("grade", 1), ("cure", 7)):
        assert list(missing_effects(told(), effects(left_out))) == [ids[place]]


def test_two_payments_need_two_effects() -> None:
    twice = [*told(), events.payment_posted(HERO.customer_id, CARD, 2, 100, NOW)]
    assert list(missing_effects(twice, effects())) == [f"payment of {HERO.customer_id}"]


def test_an_effect_that_stands_twice_in_a_timeline_is_named_and_two_states_of_one_notice_are_not() -> None:
    entries = [
        entry("contact", contact_id="c1"),
        entry("contact", contact_id="c2"),
        entry("notice", notice_id="n1", state="unconfirmed"),
        entry("notice", notice_id="n1", state="sent"),
    ]
    assert repeated_entries(Cases([], {"K1": entries}, [])) == []
    assert repeated_entries(Cases([], {"K1": [*entries, entries[1]]}, [])) == ["K1: contact//contact_id/c2"]


def test_messages_are_put_down_to_the_customers_by_number_and_mailbox() -> None:
    at = NOW.isoformat()
    texts = [{"to": HERO.phone, "at": at}, {"to": "+8613900000000", "at": at}]
    mails = [{"to": [HERO.email, "s1@bank.example"], "received_at": at, "headers": {"X-Notice-Id": "n1"}}]
    found = arrivals([HERO], mails, texts)
    assert [(each.customer_id, each.channel, each.notice_id) for each in found] == [
        (HERO.customer_id, "sms", None),
        (HERO.customer_id, "email", "n1"),
    ]
    assert notice_id_of({"headers": {}}) == ""


def test_gaps_are_summed_over_the_topics() -> None:
    lines = ["# TYPE arrears_gaps_total counter", *(f'arrears_gaps_total{{topic="{name}"}} 1.0' for name in "ab")]
    assert gaps_in("\n".join(lines)) == 2
    assert gaps_in("arrears_outbox_pending 4.0\n") == 0


def test_sent_and_unconfirmed_count_the_same_and_suppressed_does_not() -> None:
    def counts(state: str) -> dict[str, Any]:
        notice = {"channel": "sms", "state": state, "reason": {"code": "paid"}}
        cases = Cases([], {"K1": [entry("notice", notice_id="n1", state=state)]}, [])
        return final_counts(Seen(end=NOW, notices=(notice,)), cases)

    assert counts("sent") == counts("unconfirmed")
    assert counts("sent") != counts("suppressed")


def test_what_the_network_says_of_a_message_is_not_counted_since_of_an_unconfirmed_one_it_says_nothing() -> None:
    def counts(*states: str) -> dict[str, Any]:
        cases = Cases([], {"K1": [entry("notice", notice_id="n1", state=state) for state in states]}, [])
        return final_counts(Seen(end=NOW), cases)

    assert counts("sent", "delivered") == counts("sent", "undelivered") == counts("unconfirmed")


def test_the_last_answer_of_the_telephone_and_of_the_door_repeats_itself() -> None:
    customer = STORY.customers[6]
    assert [customer.door(number).kind for number in range(4)] == ["nobody_home", "promises", "promises", "promises"]
    assert customer.call(9).kind == "no_answer"
