"""`make init`: a settings file that compose can use, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.compose.init import settings, write
from tests.unit.compose.reading import variables

REQUIRED = {name for name, how, _ in variables() if how == ":?"}


def test_a_try_out_has_every_setting_that_compose_insists_on() -> None:
    made = settings(production=False)
    assert {name for name, value in made.items() if value} >= REQUIRED
    assert made["ARREARS_ENV"] == "development"
    assert made["COMPOSE_PROFILES"] == "development"


def test_production_leaves_open_what_only_the_bank_knows_and_compose_refuses_to_start_without_it() -> None:
    made = settings(production=True)
    empty = {name for name, value in made.items() if not value}
    assert made.keys() >= REQUIRED
    assert empty == {name for name in empty if name in REQUIRED}
    assert {"ARREARS_ISSUER", "ARREARS_SMPP_PASSWORD"} <= empty
    assert made["ARREARS_ENV"] == "production"
    assert "COMPOSE_PROFILES" not in made


def test_no_setting_is_written_that_nobody_reads() -> None:
    known = {name for name, _, _ in variables()} | {"COMPOSE_PROFILES"}
    assert settings(production=False).keys() <= known
    assert settings(production=True).keys() <= known


def test_secrets_are_long_drawn_anew_and_fit_into_a_url() -> None:
    one, other = settings(production=False), settings(production=False)
    for name in one:
        if name.endswith(("_PASSWORD", "_SECRET")):
            assert one[name] != other[name]
            assert one[name].replace("-", "").replace("_", "").isalnum()
            assert len(one[name]) >= 40 or name == "ARREARS_SMPP_PASSWORD"
    assert len(one["ARREARS_SMPP_PASSWORD"]) == 8


def test_the_file_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write(file, production=False)
    before = file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write(file, production=False)
    assert file.read_text(encoding="utf-8") == before
