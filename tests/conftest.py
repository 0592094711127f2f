"""What holds for every test: nothing is swallowed, a folder gives its markers, examples are the same in every run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.error_log", "tests.controls.plugin"]

_TESTS = Path(__file__).parent
_BY_FOLDER = {"unit", "model", "architecture", "docs", "contract", "integration", "e2e", "chaos"}
_OWN_STACKS = {"e2e", "chaos"}

# A verdict must not hang on the machine's speed or on luck; `--hypothesis-profile=explore` looks for new examples.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder, and with its half where two processes share the tests.

    What starts whole stacks of its own is one half; all that shares the one stack of the session is the other.
    """
    for item in items:
        if _TESTS in item.path.parents and (folder := item.path.relative_to(_TESTS).parts[0]) in _BY_FOLDER:
            item.add_marker(folder)
            item.add_marker(pytest.mark.xdist_group("own stacks" if folder in _OWN_STACKS else "one stack"))
