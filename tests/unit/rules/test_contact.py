"""Counts, stops, parties, teams and overrides; the hours are in test_contact_hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from shared.rules.contact import (
    Allowed,
    Attempt,
    ContactLedger,
    ContactRequest,
    Decision,
    NotBefore,
    Override,
    Refused,
    decide,
)
from shared.rules.model import Channel, Purpose, StopKind
from shared.rules.rulebook import RuleBook, RulesUnknown, rulebook

CHINA = rulebook()
AMERICA = rulebook(("house", "us-regf"))
SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
CHANNELS: tuple[Channel, ...] = get_args(Channel)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
NOTHING = ContactLedger()


def at(clock: str, day: str = "2026-02-25", zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=zone)


CALL = ContactRequest(channel="call", purpose="collection", at=at("15:00"), zone="Asia/Shanghai", method="phone-1")


def ledger(*attempts: Attempt) -> ContactLedger:
    return ContactLedger(attempts)


def rule_of(decision: Decision) -> str:
    assert isinstance(decision, NotBefore | Refused)
    return decision.because.rule_id


def dialled(times: int, method: str = "phone-1", **more: bool) -> list[Attempt]:
    return [Attempt(at(f"09:{minute:02}"), "call", method, **more) for minute in range(times)]


def test_a_call_by_day_to_nobody_special_is_allowed_and_says_by_which_packs() -> None:
    assert decide(CALL, NOTHING, CHINA) == Allowed(("house@2026-02-01", "cn-card@2026-01-30", "cn-online@2025-02-28"))


@pytest.mark.parametrize("kind", ["dispute", "complaint", "hardship"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_stop_of_pressure_leaves_help_and_answers(kind: StopKind, channel: Channel, purpose: Purpose) -> None:
    request = structs.replace(CALL, channel=channel, purpose=purpose, stops=frozenset({kind}), team_size=2)
    decision = decide(request, NOTHING, CHINA)
    if purpose in ("hardship", "service"):
        assert isinstance(decision, Allowed)
    else:
        assert isinstance(decision, Refused)
        assert decision.because.rule_id == f"house.stop_{kind}"
        assert decision.because.reason_zh
        assert decision.because.reason_en


@pytest.mark.parametrize("kind", ["cease_contact", "deceased", "represented", "insolvent", "wrong_person"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("book", [CHINA, AMERICA], ids=["cn", "us"])
def test_a_stop_of_contact_closes_every_channel(
    kind: StopKind, channel: Channel, purpose: Purpose, book: RuleBook
) -> None:
    request = structs.replace(CALL, channel=channel, purpose=purpose, stops=frozenset({kind}), team_size=2)
    assert rule_of(decide(request, NOTHING, book)) == f"house.stop_{kind}"


def test_every_kind_of_stop_has_its_rule() -> None:
    rules = {held.rule.id for held in CHINA.on(CALL.at.date()).contact}
    assert {f"house.stop_{kind}" for kind in get_args(StopKind)} <= rules


def test_a_must_stop_yields_to_no_override_and_no_consent() -> None:
    request = structs.replace(
        CALL,
        stops=frozenset({"dispute"}),
        override=Override(supervisor_id="sup-1", reason="large debt"),
        consents=frozenset({"night_contact", "call_frequency"}),
    )
    assert isinstance(decide(request, NOTHING, CHINA), Refused)


@pytest.mark.parametrize("book", [CHINA, AMERICA], ids=["cn", "us"])
def test_a_refused_medium_is_not_used_again_and_the_others_are(book: RuleBook) -> None:
    text = structs.replace(CALL, channel="sms", purpose="reminder", refused_channels=frozenset({"sms"}), at=at("23:00"))
    assert rule_of(decide(text, NOTHING, book)) == "house.refused_medium"
    mail = structs.replace(text, channel="email", at=at("23:00", zone=NEW_YORK), zone="Asia/Shanghai")
    assert isinstance(decide(mail, NOTHING, CHINA), Allowed)


@pytest.mark.parametrize(("team", "fits"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_visit_needs_two_collectors(team: int, fits: bool) -> None:
    decision = decide(structs.replace(CALL, channel="visit", team_size=team), NOTHING, CHINA)
    assert isinstance(decision, Allowed) is fits
    assert fits or rule_of(decision) == "cn-card.visit_team"


@pytest.mark.parametrize(
    ("purpose", "lost", "refused", "fits"),
    [
        ("locate", True, False, True),
        ("locate", False, False, False),
        ("locate", True, True, False),
        ("collection", True, False, False),
        ("reminder", True, False, False),
        ("service", True, False, False),
    ],
)
def test_a_third_party_is_asked_only_for_a_lost_debtor_and_never_after_refusing(
    purpose: Purpose, lost: bool, refused: bool, fits: bool
) -> None:
    request = structs.replace(
        CALL, party="third_party", purpose=purpose, debtor_is_lost=lost, third_party_refused=refused
    )
    decision = decide(request, NOTHING, CHINA)
    assert isinstance(decision, Allowed) is fits
    assert fits or rule_of(decision) == "cn-card.third_party"


def test_the_seventh_dial_of_one_number_waits_for_the_next_morning() -> None:
    assert isinstance(decide(CALL, ledger(*dialled(5)), CHINA), Allowed)
    decision = decide(CALL, ledger(*dialled(6)), CHINA)
    assert isinstance(decision, NotBefore)
    assert decision.because.rule_id == "cn-card.dial_attempts"
    assert decision.because.strength == "should"
    assert decision.until == at("08:00", "2026-02-26")
    assert decision.until.tzinfo is UTC


def test_another_number_another_channel_an_inbound_call_and_yesterday_do_not_count() -> None:
    others = [
        *dialled(5),
        *dialled(6, "phone-2"),
        Attempt(at("10:00"), "sms", "phone-1"),
        Attempt(at("10:00"), "call", "phone-1", inbound=True),
        Attempt(at("23:59", "2026-02-24"), "call", "phone-1"),
        Attempt(at("16:00"), "call", "phone-1"),
    ]
    assert isinstance(decide(CALL, ledger(*others), CHINA), Allowed)


def test_a_supervisor_overrides_a_should_rule_with_a_reason_and_the_answer_shows_it() -> None:
    request = structs.replace(CALL, override=Override(supervisor_id="sup-1", reason="he asked to be rung again"))
    decision = decide(request, ledger(*dialled(6)), CHINA)
    assert isinstance(decision, Allowed)
    assert [ref.rule_id for ref in decision.yielded] == ["cn-card.dial_attempts"]


@pytest.mark.parametrize(
    "override", [Override(supervisor_id="", reason="why"), Override(supervisor_id="s", reason=" ")]
)
def test_an_override_without_name_or_reason_is_refused(override: Override) -> None:
    with pytest.raises(ValueError, match="override"):
        decide(structs.replace(CALL, override=override), NOTHING, CHINA)


def test_after_three_conversations_no_call_to_any_number_today_and_no_override_helps() -> None:
    talks = dialled(2, "phone-2", effective=True) + dialled(1, "phone-3", effective=True)
    request = structs.replace(CALL, override=Override(supervisor_id="sup-1", reason="why not"))
    decision = decide(request, ledger(*talks), CHINA)
    assert isinstance(decision, NotBefore)
    assert (decision.because.rule_id, decision.until) == ("cn-online.effective_calls", at("08:00", "2026-02-26"))
    assert isinstance(decide(CALL, ledger(*talks[:2]), CHINA), Allowed)


def test_a_must_is_named_before_a_should() -> None:
    both = dialled(6) + dialled(3, "phone-2", effective=True)
    assert rule_of(decide(CALL, ledger(*both), CHINA)) == "cn-online.effective_calls"


def test_a_refusal_is_named_before_a_wait() -> None:
    night = structs.replace(CALL, at=at("23:00"), stops=frozenset({"complaint"}))
    assert rule_of(decide(night, NOTHING, CHINA)) == "house.stop_complaint"


US_CALL = structs.replace(CALL, at=at("15:00", "2026-03-10", NEW_YORK), zone="America/New_York")


def us(day: str, **more: bool) -> Attempt:
    return Attempt(at("12:00", day, NEW_YORK), "call", "phone-9", **more)


def test_the_eighth_call_in_seven_days_waits_until_the_first_has_left_the_window() -> None:
    calls = [us("2026-03-04"), *[us("2026-03-05")] * 2, *[us(f"2026-03-{day:02}") for day in (6, 7, 8, 9)]]
    assert isinstance(decide(US_CALL, ledger(*calls[1:]), AMERICA), Allowed)
    decision = decide(US_CALL, ledger(*calls), AMERICA)
    assert isinstance(decision, NotBefore)
    assert (decision.because.rule_id, decision.until) == ("us-regf.calls", at("08:00", "2026-03-11", NEW_YORK))


@pytest.mark.parametrize("inbound", [False, True])
def test_no_call_within_seven_days_after_a_conversation_whoever_began_it(inbound: bool) -> None:
    talk = us("2026-03-04", effective=True, inbound=inbound)
    decision = decide(US_CALL, ledger(talk), AMERICA)
    assert isinstance(decision, NotBefore)
    assert decision.because.rule_id == "us-regf.after_conversation"
    assert decision.until == at("08:00", "2026-03-11", NEW_YORK)
    eighth_day = structs.replace(US_CALL, at=at("08:00", "2026-03-11", NEW_YORK))
    assert isinstance(decide(eighth_day, ledger(talk), AMERICA), Allowed)
    assert isinstance(decide(structs.replace(US_CALL, channel="sms"), ledger(talk), AMERICA), Allowed)


def test_recorded_consent_lifts_the_frequency_rule() -> None:
    request = structs.replace(US_CALL, consents=frozenset({"call_frequency"}))
    decision = decide(request, ledger(us("2026-03-09", effective=True)), AMERICA)
    assert isinstance(decision, Allowed)
    assert [ref.rule_id for ref in decision.yielded] == ["us-regf.after_conversation"]


def test_nothing_is_allowed_for_want_of_rules() -> None:
    with pytest.raises(RulesUnknown, match="no contact rule holds on 2026-02-25"):
        decide(CALL, NOTHING, RuleBook(()))
    with pytest.raises(RulesUnknown):
        decide(structs.replace(CALL, at=at("15:00", "2010-06-01")), NOTHING, CHINA)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        decide(structs.replace(CALL, at=CALL.at.replace(tzinfo=None)), NOTHING, CHINA)
    with pytest.raises(ValueError, match="before"):
        decide(structs.replace(CALL, ends_at=CALL.at - timedelta(minutes=1)), NOTHING, CHINA)


def test_a_decision_survives_storage() -> None:
    for request in (CALL, structs.replace(CALL, at=at("23:00")), structs.replace(CALL, channel="visit")):
        decision = decide(request, NOTHING, CHINA)
        assert msgspec.json.decode(msgspec.json.encode(decision), type=Decision) == decision


ATTEMPTS = st.lists(
    st.builds(
        lambda minutes, method, effective: Attempt(at("12:00") - timedelta(minutes=minutes), "call", method, effective),
        st.integers(0, 60 * 24 * 60),
        st.sampled_from(["phone-1", "phone-2"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(st.data(), ATTEMPTS)
def test_a_ledger_is_the_same_in_any_order_and_repetition(data: st.DataObject, attempts: list[Attempt]) -> None:
    def told(sequence: list[Attempt]) -> ContactLedger:
        held = ContactLedger()
        for attempt in sequence:
            held = held.with_attempt(attempt)
        return held

    assert told(data.draw(st.permutations(attempts + attempts[:3]))) == told(attempts)


@given(ATTEMPTS, st.integers(0, 60 * 24 * 9), st.sampled_from([CHINA, AMERICA]))
def test_at_the_end_of_a_wait_the_contact_is_allowed(attempts: list[Attempt], minutes: int, book: RuleBook) -> None:
    request = structs.replace(CALL, at=at("12:00") + timedelta(minutes=minutes))
    held = ledger(*attempts)
    decision = decide(request, held, book)
    if isinstance(decision, NotBefore):
        assert decision.until > request.at
        assert isinstance(decide(structs.replace(request, at=decision.until), held, book), Allowed)
        earlier = decision.until - timedelta(microseconds=1)
        assert not isinstance(decide(structs.replace(request, at=earlier), held, book), Allowed)
