"""What holds for every test: nothing is swallowed, a folder gives its marker, examples are the same in every run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.error_log", "tests.controls.plugin"]

_TESTS = Path(__file__).parent
_BY_FOLDER = {"unit", "model", "architecture", "docs", "contract", "integration", "e2e", "chaos"}
_OWN_STACKS = ("tests/e2e/", "tests/chaos/", "tests/integration/local/")

# A verdict must not hang on the machine's speed or on luck; `--hypothesis-profile=explore` looks for new examples.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder."""
    for item in items:
        if _TESTS in item.path.parents and (folder := item.path.relative_to(_TESTS).parts[0]) in _BY_FOLDER:
            item.add_marker(folder)


class _Halves(LoadScopeScheduling):  # type: ignore[misc]  # untyped library
    """Two processes share the tests: one takes what starts stacks of its own, one what shares a single stack."""

    def _split_scope(self, nodeid: str) -> str:
        return "own stacks" if nodeid.startswith(_OWN_STACKS) else "one stack"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Halves | None:
    """Share the tests as said above where `--dist loadscope` is asked for."""
    return _Halves(config, log) if config.getoption("dist") == "loadscope" else None
