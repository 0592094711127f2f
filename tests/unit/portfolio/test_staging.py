from __future__ import annotations

from datetime import date, datetime, time

import pytest
import yaml
from pydantic import ValidationError

from deploy.portfolio.city import PACKAGED, City
from deploy.portfolio.staging import day_after, stage
from services.assignment.desk import load_strategy
from services.assignment.settings import PACKAGED_STRATEGY
from shared.rules.calendar import CalendarUnknown
from tests.unit.portfolio.parts import CITY, source

STAFFING = load_strategy(PACKAGED_STRATEGY).staffing


def test_there_are_as_many_colleagues_as_the_portfolio_needs_and_a_collector_for_each_district() -> None:
    for customers, phone in ((1, 3), (300, 5), (6_818, 12)):
        found = stage(source(), "t", customers)
        assert len(found.of_role("phone_agent")) == phone
        areas = [area for member in found.of_role("field_agent") for area in member.areas]
        assert sorted(areas) == sorted(each.name for each in CITY.districts)
        assert len({member.staff_id for member in found.staff}) == len(found.staff)
        assert any("en" in member.languages for member in found.of_role("phone_agent"))
        skills = {skill for member in found.of_role("phone_agent") for skill in member.skills}
        assert skills == set(STAFFING.specialists.values()), "as the strategy names them"


def test_the_days_are_working_days_from_the_first_that_the_file_allows() -> None:
    assert stage(source(), "t", 1).days[0] == date(2026, 2, 25)
    found = stage(source(), "t", 1, date(2026, 4, 30)).days
    assert [f"{day:%m-%d}" for day in found] == ["04-30", "05-06", "05-07", "05-08", "05-09"], "over the holiday"
    with pytest.raises(CalendarUnknown):
        stage(source(), "t", 1, date(2031, 1, 2))


def test_shares_that_do_not_make_a_whole_are_refused() -> None:
    told = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    told["manners"][0]["able"] += 1
    with pytest.raises(ValidationError, match="manners, able: the shares make 101 percent"):
        City.model_validate(told)


def test_an_act_that_nobody_knows_is_refused() -> None:
    told = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    told["manners"][0]["acts"] = [{"do": "vanish"}]
    with pytest.raises(ValidationError, match="vanish"):
        City.model_validate(told)


@pytest.mark.parametrize(("newest", "begins"), [("08:30:00", 3), ("08:30:01", 4), ("23:30:00", 4), ("00:00:00", 3)])
def test_a_file_comes_in_when_its_newest_row_is_no_more_of_the_future(newest: str, begins: int) -> None:
    """Seen to fail on the newest row's own day: intake refused an export of that evening, every row of it."""
    at = datetime.fromisoformat(f"2026-03-03T{newest}+08:00")
    assert day_after(at, time(8, 30)) == date(2026, 3, begins)
