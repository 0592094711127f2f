from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.calendar import CalendarUnknown, load_calendar, working_calendar
from shared.rules.loading import DataFileError

CHINA = working_calendar("CN")
SHANGHAI = "Asia/Shanghai"
COVERED = st.dates(date(2025, 1, 1), date(2026, 12, 20))


def local(day: date, clock: str, zone: str = SHANGHAI) -> datetime:
    return datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=ZoneInfo(zone))


def test_every_day_agrees_with_the_independent_package() -> None:
    day = date(2025, 1, 1)
    while day <= date(2026, 12, 31):
        assert CHINA.is_working_day(day) == chinese_calendar.is_workday(day), day
        day += timedelta(days=1)


def test_the_demo_week_works_on_its_saturday_and_rests_on_its_sunday() -> None:
    week = [date(2026, 2, 25) + timedelta(days=n) for n in range(6)]
    assert [day.isoformat() for day in week if CHINA.is_working_day(day)] == [
        "2026-02-25",
        "2026-02-26",
        "2026-02-27",
        "2026-02-28",
        "2026-03-02",
    ]


@pytest.mark.parametrize(
    ("handed_over", "clock", "last_day"),
    [
        (date(2026, 2, 25), "10:00", date(2026, 2, 27)),
        (date(2026, 2, 26), "00:00", date(2026, 2, 28)),
        (date(2026, 2, 26), "23:59:59", date(2026, 2, 28)),
        (date(2026, 2, 27), "18:00", date(2026, 3, 2)),
        (date(2026, 2, 28), "09:00", date(2026, 3, 3)),
        (date(2026, 3, 1), "09:00", date(2026, 3, 3)),
        (date(2026, 2, 13), "09:00", date(2026, 2, 24)),
        (date(2026, 9, 30), "09:00", date(2026, 10, 9)),
    ],
)
def test_a_visit_is_due_at_the_end_of_the_second_working_day(handed_over: date, clock: str, last_day: date) -> None:
    due = CHINA.due_after_working_days(local(handed_over, clock), 2, SHANGHAI)
    assert due == local(last_day + timedelta(days=1), "00:00")
    assert due.tzinfo is UTC


def test_the_day_of_the_hand_over_is_that_of_the_zone_and_not_of_utc() -> None:
    half_past_midnight = datetime(2026, 2, 25, 16, 30, tzinfo=UTC)
    assert CHINA.due_after_working_days(half_past_midnight, 2, SHANGHAI) == local(date(2026, 3, 1), "00:00")
    assert CHINA.due_after_working_days(half_past_midnight, 2, "UTC") == datetime(2026, 2, 28, tzinfo=UTC)


@given(day=COVERED, n=st.integers(1, 5))
def test_n_working_days_hold_exactly_n_days_that_work(day: date, n: int) -> None:
    last = CHINA.add_working_days(day, n)
    span = [day + timedelta(days=k) for k in range(1, (last - day).days + 1)]
    assert sum(map(CHINA.is_working_day, span)) == n
    assert CHINA.is_working_day(last)


def test_a_year_without_data_is_an_error_that_names_the_remedy() -> None:
    assert CHINA.published_through() == date(2026, 12, 31)
    with pytest.raises(CalendarUnknown, match=r"no data for 2027.*calendar-cn-2027\.yaml"):
        CHINA.is_working_day(date(2027, 1, 4))
    with pytest.raises(CalendarUnknown, match="2024"):
        CHINA.is_working_day(date(2024, 12, 31))


def test_a_period_that_runs_into_an_unknown_year_is_refused_and_not_guessed() -> None:
    with pytest.raises(CalendarUnknown, match="2027"):
        CHINA.due_after_working_days(local(date(2026, 12, 31), "09:00"), 2, SHANGHAI)


def test_a_day_off_is_followed_by_the_next_day_that_works() -> None:
    assert CHINA.working_day_on_or_after(date(2026, 2, 15)) == date(2026, 2, 24)
    assert CHINA.working_day_on_or_after(date(2026, 2, 28)) == date(2026, 2, 28)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CHINA.add_working_days(date(2026, 2, 25), 0)
    with pytest.raises(ValueError, match="aware"):
        CHINA.due_after_working_days(datetime(2026, 2, 25, 10), 2, SHANGHAI)  # noqa: DTZ001 - naive on purpose


HEAD = "region: CN\nyear: 2026\nsource: a notice\npublished_at: 2025-11-04\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + "days: [{date: 2025-01-01, kind: holiday, name_zh: a, name_en: b}]", "row 1.*is not a day of 2026"),
        (
            HEAD + "days: [{date: 2026-01-01, kind: holiday, name_zh: a, name_en: b},"
            " {date: 2026-01-01, kind: holiday, name_zh: a, name_en: b}]",
            "row 2.*stands twice",
        ),
        (HEAD + "days: [{date: 2026-01-05, kind: makeup_workday, name_zh: a, name_en: b}]", "needs no make-up"),
        (HEAD + "days: [{date: 2026-01-01, kind: feast, name_zh: a, name_en: b}]", "feast"),
        (HEAD, "days"),
        (HEAD.replace("CN", "TW") + "days: []", "holds TW 2026"),
        (HEAD + "days: []\ndays: []", "the key 'days' stands twice"),
        ("- a list", "is not a mapping"),
        ("days: [", "is not YAML"),
    ],
)
def test_a_bad_calendar_names_file_fault_and_remedy(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "calendar-cn-2026.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError, match=rf"(?s)calendar-cn-2026\.yaml.*{complaint}.*Remedy: "):
        load_calendar("CN", tmp_path)


def test_a_region_without_any_calendar_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="holds no calendar of TW"):
        load_calendar("TW", tmp_path)
