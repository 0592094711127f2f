"""The three clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from shared.clock import FrozenClock, RealClock, SteppedClock, step

NOON = datetime(2026, 2, 25, 4, 0, tzinfo=UTC)


def test_the_real_clock_is_aware_and_in_utc() -> None:
    assert RealClock().now().utcoffset() == timedelta(0)


def test_a_frozen_clock_moves_only_when_it_is_set() -> None:
    clock = FrozenClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.set(NOON + timedelta(days=1))
    assert clock.now() == NOON + timedelta(days=1)


def test_an_instant_without_an_offset_is_refused(tmp_path: Path) -> None:
    naive = datetime(2026, 2, 25, 12, 0)  # noqa: DTZ001 - the fault under test
    with pytest.raises(ValueError, match="offset"):
        FrozenClock(naive)
    with pytest.raises(ValueError, match="offset"):
        step(tmp_path / "clock", naive)


def test_every_reader_of_a_stepped_clock_sees_the_step(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    step(path, NOON)
    one, other = SteppedClock(path), SteppedClock(path)
    step(path, NOON + timedelta(hours=3))
    assert one.now() == other.now() == NOON + timedelta(hours=3)


def test_a_stepped_instant_is_read_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    step(path, datetime(2026, 2, 25, 12, 0, tzinfo=timezone(timedelta(hours=8))))
    assert SteppedClock(path).now() == NOON
    assert SteppedClock(path).now().utcoffset() == timedelta(0)


def test_a_step_leaves_no_second_file(tmp_path: Path) -> None:
    """The file is replaced in one move, so that a reader never sees half an instant."""
    step(tmp_path / "clock", NOON)
    assert [path.name for path in tmp_path.iterdir()] == ["clock"]
