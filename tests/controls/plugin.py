"""Runs a test once more without what it proves, and demands that it fails.

A control is the test itself, with its fixtures and on its stack, run after the other tests of its module. So whatever
is collected brings its controls along, and `pytest -m control` runs the controls alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest

from tests import patience
from tests.controls.table import CONTROLS, Control

_CONTROL = pytest.StashKey[Control]()


def control_of(item: pytest.Item) -> Control | None:
    """Return what is taken away for this item, None for an ordinary test."""
    return item.stash.get(_CONTROL, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each control behind the tests of its test's module."""
    items[:] = with_controls(items, CONTROLS)


def with_controls(items: Sequence[pytest.Item], controls: Sequence[Control]) -> list[pytest.Item]:
    """Return the items, and behind those of each module the controls of its tests."""
    found: list[pytest.Item] = []
    for _, group in groupby(items, key=lambda item: item.path):
        module = list(group)
        found += module
        found += [_clone(item, control) for control in controls for item in module if item.nodeid == control.test]
    return found


def _clone(item: pytest.Item, control: Control) -> pytest.Item:
    """Make the same test again, under the name of what is taken away."""
    assert isinstance(item, pytest.Function)
    clone: pytest.Item = type(item).from_parent(
        item.parent,
        name=f"{item.name} without: {control.without}",
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        keywords=item.keywords,
        originalname=item.originalname,
    )
    clone.own_markers = [marker for marker in item.own_markers if marker.name != "expected_errors"]
    clone.add_marker("control")
    clone.stash[_CONTROL] = control
    return clone


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Take the guarantee away while a control's test runs: it must fail, and for this reason."""
    control = control_of(pyfuncitem)
    if control is None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        control.switch(patch)
        if control.patience is not None:
            patch.setattr(patience, "SECONDS", control.patience)
        try:
            yield
        except control.fails as failure:
            if re.search(control.says, str(failure)):
                return True  # type: ignore[return-value]  # the hook's answer is whether the test was run
            raise AssertionError(f"fails without {control.without}, but not by {control.says!r}") from failure
    pytest.fail(f"passes without {control.without}: it does not prove it", pytrace=False)
