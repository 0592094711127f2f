"""The hours: boundary minutes, zones, midnight, and the changes to and from summer time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from shared.rules.contact import Allowed, ContactLedger, ContactRequest, NotBefore, Refused, decide
from shared.rules.localtime import next_local
from shared.rules.model import Channel
from shared.rules.rulebook import rulebook

CHINA = rulebook()
AMERICA = rulebook(("house", "us-regf"))
NOTHING = ContactLedger()
SMS = ContactRequest(
    channel="sms", purpose="reminder", at=datetime(2026, 2, 25, 4, tzinfo=UTC), zone="Asia/Shanghai", method="m"
)


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize("channel", ["sms", "email", "call", "visit"])
@pytest.mark.parametrize(
    ("clock", "until"),
    [
        ("2026-02-25 07:59:59", "2026-02-25 08:00"),
        ("2026-02-25 08:00", None),
        ("2026-02-25 21:59", None),
        ("2026-02-25 21:59:59.999999", None),
        ("2026-02-25 22:00", "2026-02-26 08:00"),
        ("2026-02-25 23:59:59", "2026-02-26 08:00"),
        ("2026-02-26 00:00", "2026-02-26 08:00"),
        ("2026-02-26 07:59", "2026-02-26 08:00"),
        ("2026-02-28 22:30", "2026-03-01 08:00"),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Urumqi", "Europe/London"])
def test_night_is_the_customers_own(clock: str, until: str | None, zone: str, channel: Channel) -> None:
    request = structs.replace(SMS, channel=channel, team_size=2, at=local(clock, zone).astimezone(UTC), zone=zone)
    decision = decide(request, NOTHING, CHINA)
    if until is None:
        assert isinstance(decision, Allowed)
    else:
        assert isinstance(decision, NotBefore)
        assert (decision.because.rule_id, decision.until) == ("cn-card.night", local(until, zone))


def test_one_instant_is_night_in_shanghai_and_evening_in_urumqi() -> None:
    instant = datetime(2026, 2, 25, 14, 30, tzinfo=UTC)
    assert isinstance(decide(structs.replace(SMS, at=instant), NOTHING, CHINA), NotBefore)
    assert isinstance(decide(structs.replace(SMS, at=instant, zone="Asia/Urumqi"), NOTHING, CHINA), Allowed)


def test_recorded_consent_opens_the_night_and_an_answer_to_the_customer_is_not_bound_by_it() -> None:
    night = structs.replace(SMS, at=local("2026-02-25 23:00", "Asia/Shanghai"))
    decision = decide(structs.replace(night, consents=frozenset({"night_contact"})), NOTHING, CHINA)
    assert isinstance(decision, Allowed)
    assert [ref.rule_id for ref in decision.yielded] == ["cn-card.night"]
    assert isinstance(decide(structs.replace(night, purpose="service"), NOTHING, CHINA), Allowed)


@pytest.mark.parametrize(
    ("clock", "until"),
    [
        ("2026-03-07 20:59", None),
        ("2026-03-07 21:00", "2026-03-08 08:00"),
        ("2026-03-08 01:59", "2026-03-08 08:00"),
        ("2026-03-08 03:00", "2026-03-08 08:00"),
        ("2026-10-31 21:00", "2026-11-01 08:00"),
        ("2026-11-01 01:30", "2026-11-01 08:00"),
        ("2026-11-01 08:00", None),
    ],
)
def test_hours_hold_through_both_clock_changes_of_new_york(clock: str, until: str | None) -> None:
    zone = "America/New_York"
    decision = decide(structs.replace(SMS, at=local(clock, zone), zone=zone), NOTHING, AMERICA)
    if until is None:
        assert isinstance(decision, Allowed)
    else:
        assert isinstance(decision, NotBefore)
        assert decision.until == local(until, zone)


def test_the_night_of_the_clock_change_is_an_hour_shorter_and_longer() -> None:
    zone = "America/New_York"
    waits = []
    for evening in ("2026-03-07 21:00", "2026-03-09 21:00", "2026-10-31 21:00"):
        begun = local(evening, zone).astimezone(UTC)
        decision = decide(structs.replace(SMS, at=begun, zone=zone), NOTHING, AMERICA)
        assert isinstance(decision, NotBefore)
        waits.append(decision.until - begun)
    assert waits == [timedelta(hours=10), timedelta(hours=11), timedelta(hours=12)]


@pytest.mark.parametrize(
    ("ends", "until"),
    [("21:59", None), ("22:00", None), ("22:01", "2026-02-26 08:00"), ("23:30", "2026-02-26 08:00")],
)
def test_a_visit_must_end_before_night(ends: str, until: str | None) -> None:
    zone = "Asia/Shanghai"
    visit = structs.replace(
        SMS,
        channel="visit",
        team_size=2,
        at=local("2026-02-25 21:00", zone),
        ends_at=local(f"2026-02-25 {ends}", zone),
    )
    decision = decide(visit, NOTHING, CHINA)
    if until is None:
        assert isinstance(decision, Allowed)
    else:
        assert isinstance(decision, NotBefore)
        assert decision.until == local(until, zone)


def test_a_visit_longer_than_the_open_hours_is_refused() -> None:
    visit = structs.replace(SMS, channel="visit", team_size=2, ends_at=SMS.at + timedelta(hours=15))
    assert isinstance(decide(visit, NOTHING, CHINA), Refused)


def test_an_unknown_zone_is_an_error_and_never_a_guess() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        decide(structs.replace(SMS, zone="Mars/Olympus"), NOTHING, CHINA)


def test_a_time_that_the_clock_leaps_over_and_one_that_comes_twice() -> None:
    zone = "America/New_York"
    before_leap = datetime(2026, 3, 8, 6, tzinfo=UTC)
    assert next_local(before_leap, time(2, 30), zone) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert next_local(first - timedelta(hours=1), time(1, 30), zone) == first
    assert next_local(first, time(1, 30), zone) == first + timedelta(hours=1)


@given(
    st.datetimes(datetime(2026, 2, 1), datetime(2026, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - made aware
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_no_allowed_instant_is_at_night_and_every_wait_ends_at_eight(instant: datetime, zone: str) -> None:
    decision = decide(structs.replace(SMS, at=instant, zone=zone), NOTHING, CHINA)
    clock = instant.astimezone(ZoneInfo(zone)).time()
    assert isinstance(decision, Allowed) is (time(8) <= clock < time(22))
    if isinstance(decision, NotBefore):
        assert decision.until.astimezone(ZoneInfo(zone)).time() == time(8)
        assert timedelta(0) < decision.until - instant <= timedelta(hours=11)
