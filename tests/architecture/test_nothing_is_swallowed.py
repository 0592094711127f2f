"""A test fails on an ERROR record that it did not claim, and on a claim that nothing met."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT, plant

_TESTS = """
import logging, pytest

log = logging.getLogger("arrears.bus")

def test_quiet():
    log.warning("late")

def test_swallowed():
    log.error("lost %s", 7)

def test_swallowed_by_a_logger_that_does_not_propagate():
    quiet = logging.getLogger("arrears.quiet")
    quiet.propagate = False
    quiet.error("lost")

def test_swallowed_behind_handlers_set_up_anew():
    logging.basicConfig(force=True)
    log.error("lost")

def test_quiet_after_noise():
    pass

@pytest.mark.expected_errors("bus: lost [0-9]")
def test_claimed_by_marker():
    log.error("lost 7")

def test_claimed_by_fixture(expected_errors):
    expected_errors("lost")
    log.exception("lost")

@pytest.mark.expected_errors("lost")
def test_claim_not_met():
    pass

@pytest.mark.expected_errors("lost")
def test_claim_of_another():
    log.error("lost")
    log.critical("found")

@pytest.fixture
def noisy():
    yield
    log.error("on the way out")

def test_swallowed_by_a_fixture(noisy):
    pass

@pytest.fixture
def broken():
    yield
    log.error("and broken")
    raise OSError

def test_broken_fixture(broken):
    pass

def test_quiet_after_a_broken_fixture():
    pass
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run over `_TESTS` found wrong, by test."""
    error_log = (ROOT / "tests" / "error_log.py").read_text(encoding="utf-8")
    tree = plant(tmp_path_factory.mktemp("tree"), {"conftest.py": error_log, "test_it.py": _TESTS})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", str(tree)]
    wide = os.environ | {"COLUMNS": "200"}  # else pytest cuts the fault off
    said = subprocess.run(command, cwd=tree, env=wide, capture_output=True, text=True, check=False).stdout
    return dict(re.findall(r"^ERROR test_it.py::(\w+) - (.*)$", said, flags=re.MULTILINE))


def test_each_swallowed_error_fails_its_test_and_no_other(faulty: dict[str, str]) -> None:
    assert set(faulty) == {
        "test_swallowed",
        "test_swallowed_by_a_logger_that_does_not_propagate",
        "test_swallowed_behind_handlers_set_up_anew",
        "test_claim_not_met",
        "test_claim_of_another",
        "test_swallowed_by_a_fixture",
        "test_broken_fixture",
    }


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("test_swallowed", "unclaimed ERROR arrears.bus: lost 7"),
        ("test_claim_not_met", "no ERROR met 'lost'"),
        ("test_claim_of_another", "unclaimed ERROR arrears.bus: found"),
        ("test_swallowed_by_a_fixture", "unclaimed ERROR arrears.bus: on the way out"),
        ("test_broken_fixture", "OSError"),
    ],
)
def test_the_fault_says_what_was_swallowed(faulty: dict[str, str], name: str, fault: str) -> None:
    assert fault in faulty[name]


def test_the_swallowing_is_watched_in_every_test() -> None:
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert 'pytest_plugins = ["tests.error_log"' in conftest
