"""The settings that every service shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.clock import RealClock, SteppedClock, step
from shared.ids import uuid7
from shared.settings import ServiceSettings
from tests.unit.shared.samples import NOON, SURROUNDINGS


def test_a_stepped_clock_is_refused_in_production(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ARREARS_CLOCK_FILE is for development only"):
        ServiceSettings.model_validate({**SURROUNDINGS, "clock_file": tmp_path / "clock"})


def test_a_stepped_clock_is_taken_in_development(tmp_path: Path) -> None:
    step(tmp_path / "clock", NOON)
    settings = ServiceSettings.model_validate({**SURROUNDINGS, "env": "development", "clock_file": tmp_path / "clock"})
    assert isinstance(settings.clock(), SteppedClock)
    assert settings.clock().now() == NOON


def test_production_is_the_default_and_lives_by_the_real_clock() -> None:
    settings = ServiceSettings.model_validate(SURROUNDINGS)
    assert not settings.development
    assert not settings.docs_enabled
    assert isinstance(settings.clock(), RealClock)


@pytest.mark.parametrize("name", sorted(SURROUNDINGS))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        ServiceSettings.model_validate({key: value for key, value in SURROUNDINGS.items() if key != name})


def test_a_password_is_never_printed() -> None:
    secret = str(uuid7())
    settings = ServiceSettings.model_validate({**SURROUNDINGS, "database_url": f"postgresql://u:{secret}@db/x"})
    assert secret not in repr(settings)
    assert secret not in str(settings)
