"""Nothing is swallowed: an ERROR log record that a test did not claim fails that test.

Records are seen where they are made, before any handler: a logger that does not propagate, or a set-up that replaces
the root's handlers, hides nothing. What the processes of the local stack log is not seen here; their tests read it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

_CLAIMS = pytest.StashKey[list[str]]()


class ErrorLog:
    """The ERROR records made since the last test was judged, in order."""

    def __init__(self) -> None:
        self.records: list[logging.LogRecord] = []

    def watch(self) -> Callable[..., logging.LogRecord]:
        """Stand in front of the present record factory; gives it back, to be put in its place again."""
        before = logging.getLogRecordFactory()

        def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = before(*args, **kwargs)
            if record.levelno >= logging.ERROR:
                self.records.append(record)
            return record

        logging.setLogRecordFactory(factory)
        return before

    def judge(self, claims: list[str]) -> list[str]:
        """Every fault of the records against a test's claims; forgets the records."""
        said = [f"{record.name}: {record.getMessage()}" for record in self.records]
        self.records.clear()
        unclaimed = [line for line in said if not any(re.search(claim, line) for claim in claims)]
        unmet = [claim for claim in claims if not any(re.search(claim, line) for line in said)]
        return [*(f"unclaimed ERROR {line}" for line in unclaimed), *(f"no ERROR met {claim!r}" for claim in unmet)]


_LOG = ErrorLog()


@pytest.fixture(scope="session", autouse=True)
def _errors_are_seen() -> Iterator[None]:
    before = _LOG.watch()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def expected_errors(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Claim ERROR records by a pattern over "logger: message"; a claim that is not met fails the test as well.

    The marker `expected_errors(*patterns)` does the same for patterns that are known beforehand.
    """
    return request.node.stash.setdefault(_CLAIMS, []).append  # type: ignore[no-any-return]  # the stash knows its own type


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Judge after the fixtures are gone, so that an error on the way out counts too."""
    try:
        yield
    except BaseException:
        _LOG.records.clear()  # this test has failed already; the next one did not make them
        raise
    if item.get_closest_marker("control"):
        _LOG.records.clear()  # it is meant to fail, with whatever is said of it
        return
    marked = [pattern for marker in item.iter_markers("expected_errors") for pattern in marker.args]
    faults = _LOG.judge(marked + item.stash.get(_CLAIMS, []))
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
