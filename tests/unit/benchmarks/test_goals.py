from __future__ import annotations

import pytest

from benchmarks import goals
from benchmarks.goals import Goal, judge
from benchmarks.samples import Latency, Row
from benchmarks.table import report, table


def row(name: str, total: float, rate: float = 1000.0) -> Row:
    return Row(name, 3, total, total / 2, total / 4, total / 4, 0.1, rate)


def test_a_goal_is_met_at_its_bound_and_not_beyond() -> None:
    least, most = Goal("P4", "", 0.8), Goal("P2", "", 350.0, at_least=False)
    assert [least.verdict(value) for value in (0.79, 0.8, 0.9)] == ["not met", "met", "met"]
    assert [most.verdict(value) for value in (340.0, 350.0, 351.0)] == ["met", "met", "not met"]
    assert least.verdict(None) == "not measured"


def test_every_goal_is_named_and_not_measured_when_nothing_was() -> None:
    judged = judge([], [])
    assert {each.goal.code for each in judged} == {"P1", "P2", "P3", "P4", "P5", "P6"}
    assert {each.verdict for each in judged} == {"not measured"}


def test_a_ratio_compares_costs_first_and_rates_beside() -> None:
    rows = [row(goals.FLOOR_HOP, 40.0, 20_000.0), row(goals.SCORING, 50.0, 12_000.0)]
    (hop,) = [each for each in judge(rows, []) if each.goal is goals.P4]
    assert hop.value == pytest.approx(0.8)
    assert hop.by_rate == pytest.approx(0.6)
    assert hop.verdict == "met"


def test_beside_plain_java_the_rate_is_judged() -> None:
    rows = [row(goals.JAVA_HOP, 40.0, 20_000.0), row(goals.SCORING, 80.0, 19_000.0)]
    (hop,) = [each for each in judge(rows, []) if each.goal is goals.P4_JAVA]
    assert hop.value == pytest.approx(0.5)
    assert hop.by_rate == pytest.approx(0.95)
    assert hop.verdict == "met"


def test_latency_is_judged_at_its_own_load() -> None:
    fast, slow = Latency(0.1, 10.0, [0.2] * 100), Latency(0.5, 50.0, [1.5] * 100)
    by_goal = {each.goal: each.verdict for each in judge([], [fast, slow])}
    assert (by_goal[goals.P6_TENTH], by_goal[goals.P6_HALF]) == ("met", "not met")


def test_columns_stand_below_one_another() -> None:
    lines = table(("", "us"), [("one hop", "5.0"), ("chain", "1000.0")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith("  one hop")


def test_the_report_says_cpu_first_and_names_every_goal_and_what_was_not_run() -> None:
    rows = [row(goals.CHAIN, 300.0)]
    said = report(rows, judge(rows, []), [], {"ingest": 120_000_000}, "FastStream was not run.")
    assert said.index("FastStream was not run.") < said.index("CPU time an event") < said.index("Goals")
    assert "not measured" in said
    assert "120" in said
    for code in ("P1", "P2", "P3", "P4", "P5", "P6"):
        assert f"  {code} " in said
    assert "met" in said.split("P2", 1)[1].splitlines()[0]
