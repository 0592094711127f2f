"""A control passes only when its test fails, and fails by what the control takes away."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests import patience
from tests.controls import plugin, switches
from tests.controls.nodes import is_there
from tests.controls.table import CONTROLS, Control


def run(control: Control) -> Generator[None, None, Any]:
    """Begin to run a control's test; the caller says how it ends."""
    item = SimpleNamespace(stash=pytest.Stash())
    item.stash[plugin._CONTROL] = control
    running = cast("Generator[None, None, Any]", plugin.pytest_pyfunc_call(cast("pytest.Function", item)))
    next(running)
    return running


def control(**changed: Any) -> Control:
    return Control("a guarantee", lambda _: None, "tests/x.py::test_x", **changed)


def test_a_control_passes_when_its_test_fails_as_expected() -> None:
    with pytest.raises(StopIteration):
        run(control(says="twice")).throw(AssertionError("sent twice"))


def test_a_test_that_passes_without_its_guarantee_fails_the_control() -> None:
    with pytest.raises(pytest.fail.Exception, match="passes without a guarantee"):
        run(control()).send(None)


def test_a_test_that_fails_with_other_words_fails_the_control() -> None:
    with pytest.raises(AssertionError, match="not by 'twice'"):
        run(control(says="twice")).throw(AssertionError("never"))


def test_a_test_that_fails_by_another_kind_of_error_fails_the_control() -> None:
    with pytest.raises(ConnectionRefusedError):
        run(control()).throw(ConnectionRefusedError("the stack is not there"))


def test_a_switch_and_a_short_patience_last_as_long_as_the_test() -> None:
    before = patience.SECONDS
    running = run(control(fails=TimeoutError, patience=1))
    assert patience.SECONDS == 1
    with pytest.raises(StopIteration):
        running.throw(TimeoutError())
    assert before == patience.SECONDS


def test_a_switch_that_finds_nothing_to_take_away_says_so() -> None:
    with pytest.raises(LookupError, match="not there any more"):
        switches.cut("SELECT 1", "FOR UPDATE", "")


@pytest.mark.parametrize("each", CONTROLS, ids=[each.without for each in CONTROLS])
def test_each_control_names_a_test_that_is_there(each: Control) -> None:
    """A test that was renamed takes its control with it, and nobody would miss it."""
    assert is_there(each.test)


def test_what_waits_in_vain_is_the_only_thing_that_may_be_impatient() -> None:
    assert all((each.fails is TimeoutError) == (each.patience is not None) for each in CONTROLS)


def test_a_test_that_is_not_there_is_not_found() -> None:
    assert not is_there("tests/unit/controls/test_plugin.py::test_nobody_wrote")
    assert not is_there("tests/unit/controls/test_gone.py::test_x")
    assert is_there("tests/unit/controls/test_plugin.py::test_a_test_that_is_not_there_is_not_found[x]")
