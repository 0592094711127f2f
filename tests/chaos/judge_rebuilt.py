"""Scoring rebuilt from its topics knows what the running one knows, account for account. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.evidence import Evidence, Finding

_VERSION_AND_SCORE = 2
"""The first of what is kept of the last grading: how often there was news, and the points, which alone are no news.

Both tell when somebody looked, not what is true: an account that was graded every day has had other news on its way.
"""


def rebuilt_the_same(evidence: Evidence) -> Iterator[Finding]:
    """Each account has the same debt, the same report and the same grade with its reasons in both."""
    if evidence.rebuilt is None:
        return
    running, rebuilt = accounts(evidence.states.get("scoring", {})), accounts(evidence.rebuilt)
    for account_id in sorted(running.keys() | rebuilt.keys()):
        if account_id not in rebuilt:
            yield Finding("lost", f"account {account_id} is not there when scoring is rebuilt from its topics")
        elif account_id not in running:
            yield Finding("lost", f"account {account_id} is only there when scoring is rebuilt from its topics")
        elif running[account_id] != rebuilt[account_id]:
            differs = [name for name, value in running[account_id].items() if rebuilt[account_id].get(name) != value]
            yield Finding("lost", f"account {account_id} is another when scoring is rebuilt: {', '.join(differs)}")


def accounts(states: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The accounts in the documents of scoring, without what tells only when somebody looked."""
    found: dict[str, dict[str, Any]] = {}
    for state in states.values():
        for account_id, account in json.loads(state).get("accounts", {}).items():
            last = account.get("last")
            found[account_id] = account | {"last": last and last[_VERSION_AND_SCORE:]}
    return found


def equal_rows(evidence: Evidence) -> tuple[int, int]:
    """How many accounts are the same in both, and how many the running one has."""
    running, rebuilt = accounts(evidence.states.get("scoring", {})), accounts(evidence.rebuilt or {})
    return sum(rebuilt.get(account_id) == account for account_id, account in running.items()), len(running)
