"""A strategy file is usable as a whole, or a message names row, fault and remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.assignment.desk import desk_of, load_strategy, strategy_of
from services.assignment.domain.rows import StrategyError
from services.assignment.domain.strategy import BUCKETS, GRADES, parse
from services.assignment.settings import PACKAGED_STRATEGY, Settings
from tests.unit.assignment.given import at

Change = Callable[[Any], object]


def packaged() -> Any:
    return yaml.safe_load(PACKAGED_STRATEGY.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(PACKAGED_STRATEGY.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_edition_has_one_segment_for_every_bucket_and_grade(path: Path) -> None:
    strategy = load_strategy(path)
    assert path.stem == f"{strategy.name}-{strategy.version}"
    for bucket in BUCKETS:
        for grade in (*GRADES, None):
            assert bucket in strategy.segment(bucket, grade).buckets


def test_a_bucket_before_the_first_is_worked_like_the_first() -> None:
    strategy = load_strategy(PACKAGED_STRATEGY)
    assert strategy.segment("M0", "A") == strategy.segment("M1", "A")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("version"), "strategy file, version: is missing or no code"),
        (lambda d: d.update(version=2026.1), "quote it if it looks like a number or date"),
        (lambda d: d.update(lapse_at="9am"), 'write it quoted, as "09:00"'),
        (lambda d: d.update(gather_minutes=-1), "give a whole number from 0 to 1440"),
        (lambda d: d.update(gather_minutes=True), "gather_minutes: is missing or out of bounds"),
        (lambda d: d.update(surprise=1), "surprise: is not known here"),
        (lambda d: d.update(segments=[]), "segments: is missing or empty"),
        (lambda d: d["segments"].pop(2), "bucket M2, grade A is in no segment"),
        (lambda d: d["segments"][2].pop("ungraded"), "bucket M2, no grade yet is in no segment"),
        (lambda d: d["segments"][1].update(grades=["C", "D", "E"]), "bucket M1, grade C is in m1-good and m1-weak"),
        (lambda d: d["segments"][0]["steps"].pop(0) and d["segments"][0]["steps"].pop(0), "the first touch is a call"),
        (lambda d: d["segments"][1]["steps"].reverse(), "goes back to an earlier queue"),
        (lambda d: d["segments"][1]["steps"][1].pop("set_time_days"), "(m1-weak), steps[1]: has no set_time_days"),
        (lambda d: d["segments"][1]["steps"][2].update(set_time_days=1), "is the last and has set_time_days"),
        (lambda d: d["segments"][0]["steps"][1].update(name="remind-1"), "the name remind-1 stands twice"),
        (lambda d: d["segments"][0]["steps"][0].update(channels=["fax"]), "(remind-1), channels: is missing, unknown"),
        (lambda d: d["segments"][0]["steps"][0].pop("template"), "(remind-1), template: is missing"),
        (lambda d: d["segments"][0]["steps"][2].update(template="x"), "(call), template: is not known here"),
        (
            lambda d: d["segments"][3]["steps"].append({"name": "sue", "do": "legal"}),
            "(m4-m5), steps[2]: has no set_time",
        ),
        (
            lambda d: d["segments"][3]["steps"].extend(
                [{"name": "sue", "do": "legal", "set_time_days": 3}, {"name": "call-2", "do": "phone"}]
            ),
            "(m4-m5), steps[3]: proposes and has set_time_days",
        ),
        (lambda d: d["staffing"].update(skip_skill=""), "staffing, skip_skill: is missing or no code"),
        (lambda d: d.pop("staffing"), "strategy file, staffing: is no mapping"),
        (lambda d: d["staffing"].update(capacity=0), "staffing, capacity: is missing or out of bounds"),
        (lambda d: d["staffing"].update(hats=1), "staffing, hats: is not known here"),
        (lambda d: d["segments"][0].update(skills=["law", "law"]), "(m1-good), skills: is no list of codes, or names"),
        (lambda d: d["segments"].append("m9"), "segments[5]: is no mapping"),
    ],
)
def test_a_fault_is_named_with_row_and_remedy(change: Change, words: str) -> None:
    document = packaged()
    change(document)
    with pytest.raises(StrategyError) as caught:
        parse(document)
    assert words in str(caught.value)
    assert all("; " in fault for fault in caught.value.faults)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    document = packaged()
    document.update(lapse_at=9, gather_minutes="15")
    with pytest.raises(StrategyError) as caught:
        parse(document)
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &steps [1]\nb: [*steps, *steps]", "anchors and aliases are not used here"),
        ("a: &mapping {b: 1}", "anchors and aliases are not used here"),
        ("a: &text b", "anchors and aliases are not used here"),
        ("a: *unknown", "anchors and aliases are not used here"),
        ("a: 1\na: 2", "the key 'a' stands twice"),  # the last one counted, and nobody was told
        ("? [a]\n: 1", "unhashable key"),
    ],
)
def test_a_value_stands_where_it_is_written_and_nowhere_else(text: str, fault: str) -> None:
    """A few lines of aliases would be millions of rows to check. Seen to fail: with the safe loader itself."""
    with pytest.raises(StrategyError, match=fault):
        strategy_of(text)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d["segments"].extend([{}] * 100), "strategy file, segments: has 105 rows; list at most 100"),
        (lambda d: d["segments"][0]["steps"].extend([{}] * 50), "(m1-good), steps: has 53 rows; list at most 50"),
    ],
)
def test_of_too_many_rows_none_is_looked_at(change: Change, fault: str) -> None:
    """Seen to fail: without the bound each row is read and told."""
    document = packaged()
    change(document)
    with pytest.raises(StrategyError) as caught:
        parse(document)
    (told,) = (each for each in caught.value.faults if "rows" in each)
    assert told.endswith(fault)
    assert len(caught.value.faults) <= 2


def test_of_very_many_faults_the_first_are_told_and_how_many_more() -> None:
    """Seen to fail: without the cut a file of 64 KiB is answered with megabytes."""
    document = {**packaged(), **{f"x{number:03}": 1 for number in range(60)}}
    with pytest.raises(StrategyError) as caught:
        parse(document)
    assert len(caught.value.faults) == 51
    assert caught.value.faults[-1] == "strategy file: 10 faults more; mend these first"


@pytest.mark.parametrize("document", [None, [], "text", {}])
def test_what_is_no_strategy_is_refused(document: object) -> None:
    with pytest.raises(StrategyError):
        parse(document)


def test_a_message_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(StrategyError, match=r"mine\.yaml: is no YAML"):
        load_strategy(path)
    with pytest.raises(StrategyError, match=r"absent\.yaml: cannot be read"):
        load_strategy(tmp_path / "absent.yaml")


def test_a_strategy_is_not_used_before_its_first_day() -> None:
    settings = Settings.model_construct(zone="Asia/Shanghai", strategy_file=PACKAGED_STRATEGY, lease_minutes=15)
    assert desk_of(settings, at("02-25 09:00")).policy.strategy.version == "2026-02"
    with pytest.raises(StrategyError, match=r"valid_from is 2026-02-01, after 2025-12-31"):
        desk_of(settings, datetime(2025, 12, 31, 15, 59, tzinfo=UTC))
