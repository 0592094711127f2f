"""docs/dependencies.md, pyproject.toml and the two locks say the same."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest

from tests.architecture.tree import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_TABLES = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").split("\n## ")


def _wanted(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=!~ ;]", requirement)[0] for requirement in requirements]


def _rows(section: str) -> dict[str, list[str]]:
    """Cells after the name, by package, of the section's table."""
    [table] = [part for part in _TABLES if part.startswith(section)]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def _pins(lock: str) -> dict[str, str]:
    """Version and hashes as one text, by package."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text(encoding="utf-8"))
    pins = {}
    for entry in entries:
        name, _, rest = entry.partition("==")
        version = rest.split(" ", 1)[0]
        pins[name.split("[")[0]] = " ".join([version, *sorted(re.findall(r"--hash=\S+", entry))])
    return pins


SERVICES = _wanted(_PROJECT["dependencies"])
DEVELOPMENT = _wanted(_PROJECT["optional-dependencies"]["dev"])
LICENCES = {name: row[1] for name, row in (_rows("Services") | _rows("Development")).items()}


def test_the_services_table_lists_what_the_services_are_installed_with() -> None:
    assert list(_rows("Services")) == SERVICES


def test_the_development_table_lists_what_development_adds() -> None:
    assert list(_rows("Development")) == DEVELOPMENT


@pytest.mark.parametrize("section", ["Services", "Development"])
def test_each_dependency_has_a_reason_a_licence_and_a_word_on_its_upkeep(section: str) -> None:
    assert [name for name, row in _rows(section).items() if len(row) != 3 or not all(row)] == []


@pytest.mark.parametrize("name", LICENCES)
def test_the_licence_is_the_one_that_the_package_declares(name: str) -> None:
    """Not covered: packages whose metadata name no SPDX expression; their licence file was read."""
    declared = importlib.metadata.metadata(name).json.get("license_expression")
    assert declared in {None, LICENCES[name]}


def test_both_locks_pin_every_direct_dependency_with_hashes() -> None:
    services, everything = _pins("requirements.txt"), _pins("requirements-dev.txt")
    assert set(SERVICES) <= set(services)
    assert {*SERVICES, *DEVELOPMENT} <= set(everything)
    assert [name for name, pin in everything.items() if "--hash=sha256:" not in pin] == []


def test_the_development_lock_is_a_superset_of_the_services_lock() -> None:
    assert _pins("requirements.txt").items() <= _pins("requirements-dev.txt").items()
