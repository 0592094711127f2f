"""What another strategy would change is told case by case, with reasons, by the functions that will decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
import yaml

from services.assignment.domain.lifecycle import catch_up
from services.assignment.domain.policy import Policy
from services.assignment.domain.preview import Move, move_of, newly_leaving
from services.assignment.domain.strategy import parse
from services.assignment.dry_run import summary
from services.assignment.settings import PACKAGED_STRATEGY
from tests.unit.assignment.given import POLICY, Story, at, by_phone, colleague, leave, roster, with_law

TEN = at("02-27 10:00")
SUE = {"name": "sue", "do": "legal"}


def changed(change: Callable[[Any], object]) -> Policy:
    """Return the policy of the packaged strategy after `change`; its segment m4-m5 is the fourth."""
    document = yaml.safe_load(PACKAGED_STRATEGY.read_text(encoding="utf-8"))
    document["version"] = "other"
    change(document)
    return replace(POLICY, strategy=parse(document))


def steps(document: Any) -> Any:
    return document["segments"][3]["steps"]


def move(story: Story, wanted: Policy, now: str = "02-27 10:00") -> Move | None:
    return move_of(story.customer, POLICY, wanted, at(now), {})


def codes(found: Move | None) -> list[str]:
    return [reason.code for reason in found.reasons] if found else []


def test_the_same_plan_under_other_names_moves_nobody() -> None:
    renamed = changed(lambda d: d["segments"][3].update(name="late"))
    assert move(by_phone(), renamed) is None
    assert move(by_phone(), changed(lambda d: d.update(source="second edition"))) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: steps(d)[2].update(name="knock"), ["next_step"]),
        (lambda d: steps(d).pop(2) and steps(d)[1].pop("set_time_days"), ["next_step"]),
        (lambda d: steps(d)[2].update(set_time_days=3) or steps(d).append(SUE), ["next_step_changed"]),
        (lambda d: steps(d)[1].update(set_time_days=9), []),
    ],
)  # fmt: skip
def test_what_comes_next_is_compared_and_a_set_time_that_runs_is_kept(
    change: Callable[[Any], object], expected: list[str]
) -> None:
    assert codes(move(by_phone(), changed(change))) == expected


def test_a_case_that_rests_and_would_go_on_moves_at_once() -> None:
    story = by_phone().until(at("03-02 09:00"))
    assert (story.step, story.due is None or story.due > at("03-10 00:00")) == ("visit", True)
    found = move(story, with_law(), "03-10 10:00")
    assert codes(found) == ["set_time", "next_step"]
    assert found is not None
    assert (found.before.until, found.before.following) == (None, None)
    assert (found.after.until, found.after.following.name if found.after.following else None) == (
        at("03-13 09:00"),
        "sue",
    )


def test_what_is_told_is_what_happens() -> None:
    """The dry run of a case and the first decision under the new strategy end at the same step and set time."""
    story = by_phone().until(at("03-02 09:00"))
    found = move(story, with_law(), "03-10 10:00")
    story.policy = with_law()
    turn = story.turn(at("03-10 10:00"))
    catch_up(turn)
    step = turn.case().step
    assert found is not None
    assert step is not None
    assert (step.name, step.lapses_at, step.strategy) == (found.after.step, found.after.until, "default@2026-02")


def test_asking_changes_nothing() -> None:
    """Compared with its encoding from before: the very object would be equal to itself whatever became of it.

    Seen to fail: with an `outlook` that empties the customer's accounts.
    """
    story = by_phone().until(at("03-02 09:00"))
    before = msgspec.json.encode(story.customer)
    move(story, with_law(), "03-10 10:00")
    assert msgspec.json.encode(story.customer) == before


def test_whoever_would_hand_cases_over_is_named_with_the_cases() -> None:
    away = colleague("P1", leave=(leave(date(2026, 2, 27), date(2026, 3, 3)),))
    shorter = changed(lambda d: d["staffing"].update(long_leave_days=3))
    leaving = newly_leaving(roster(away, colleague("P2")), POLICY, shorter, TEN)
    assert {staff_id: why.code for staff_id, why in leaving.items()} == {"P1": "collector_on_long_leave"}
    assert codes(move_of(by_phone().customer, POLICY, shorter, TEN, leaving)) == ["collector_on_long_leave"]
    assert newly_leaving(roster(away), shorter, shorter, TEN) == {}


def test_a_summary_counts_who_goes_from_where_to_where_and_why() -> None:
    here = {"queue": "field", "step": "visit", "next_step": None, "proposal": None}
    there = {**here, "next_step": "sue"}
    one = {"before": here, "after": there, "reasons": [{"code": "next_step"}]}
    gone = {"before": here, "after": {**here, "proposal": "legal"}, "reasons": [{"code": "proposal"}]}
    assert summary([one, gone, one]) == [
        {"cases": 2, "from": "field (visit), rests", "to": "field (visit), then sue", "why": "next_step"},
        {"cases": 1, "from": "field (visit), rests", "to": "field (visit), legal proposed", "why": "proposal"},
    ]
