"""What must hold of a portfolio beside what always must: each is seen to hold, and to fail alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from deploy.demo import campaign_ending as ending
from deploy.demo.events import Event
from deploy.demo.invariants import Seen
from deploy.demo.observing import Cases

DAY = date(2026, 2, 25)
SNAPSHOT = "arrears.account.overdue_reported.v1"


def reported(number: int, **changed: Any) -> Event:
    data = {"customer_id": f"C{number}", "account_id": f"A{number}", "amount_past_due": 100, "due_date": "2026-01-20"}
    return {"type": SNAPSHOT, "id": f"e{number}", "data": data | changed}


def case(number: int, **changed: Any) -> Mapping[str, Any]:
    sound = {"customer_id": f"C{number}", "case_id": f"K{number}", "status": "open", "queue": "phone", "stops": []}
    return sound | changed


def grade(number: int, **changed: Any) -> Mapping[str, Any]:
    sound = {"account_id": f"A{number}", "grade": "C", "bucket": "M2", "suggested_treatment": "call"}
    return sound | changed


def notice(number: int, state: str = "sent") -> Mapping[str, Any]:
    return {"customer_id": f"C{number}", "case_id": f"K{number}", "state": state}


TAKEN = [reported(1), reported(2), reported(3, amount_past_due=0), reported(4, due_date="2026-02-25")]
SEEN = Seen(end=datetime(2026, 3, 2, tzinfo=UTC), notices=(notice(1), notice(2, "suppressed")))
CASES = Cases((case(1), case(2, status="closed", queue=None)), {}, tuple(map(grade, (1, 2, 3, 4))))


def broken(taken: Sequence[Event], seen: Seen, cases: Cases) -> list[tuple[str, int]]:
    return [(each.name, len(each.faults)) for each in ending.verdicts(taken, seen, cases, DAY) if not each.holds]


def test_all_hold_on_a_sound_ending() -> None:
    """Who owes nothing, or nothing that is due yet, has no case."""
    assert broken(TAKEN, SEEN, CASES) == []
    assert broken(TAKEN, SEEN, replace(CASES, cases=(case(1, queue=None, stops=["dispute"]), case(2)))) == []


@pytest.mark.parametrize(
    ("name", "seen", "cases"),
    [
        ("rows not graded", SEEN, replace(CASES, grades=CASES.grades[:3])),
        ("debtors not routed", SEEN, replace(CASES, cases=CASES.cases[:1])),
        (
            "debtors not routed",
            replace(SEEN, notices=(*SEEN.notices, notice(3))),
            replace(CASES, cases=(*CASES.cases, case(3))),
        ),
        ("debtors not routed", SEEN, replace(CASES, cases=(case(1, queue=None), case(2)))),
        ("cases not reminded", replace(SEEN, notices=SEEN.notices[:1]), CASES),
        ("cases not reminded", replace(SEEN, notices=(*SEEN.notices[:1], notice(2, "due"))), CASES),
    ],
)
def test_each_is_seen_to_fail_alone(name: str, seen: Seen, cases: Cases) -> None:
    assert broken(TAKEN, seen, cases) == [(name, 1)]


def test_of_thousands_of_faults_the_first_are_named_and_the_rest_counted() -> None:
    found = ending.not_graded([reported(n) for n in range(50)], CASES)
    assert (len(found.faults), found.faults[-1]) == (21, "and 26 more")


def test_the_counts_say_how_many_owe_nothing() -> None:
    counted = ending.counts(TAKEN, CASES, DAY)
    assert counted["portfolio"] == {
        "accounts graded": 4,
        "customers": 4,
        "cases routed": 2,
        "nothing owed, no action": 2,
    }
    assert counted["grades"] == {"C": 4}


def test_nobody_is_known_of_whom_no_account_was_taken() -> None:
    moved = {"type": "arrears.contacts.recorded.v1", "id": "m9", "data": {"customer_id": "C9"}}
    assert ending.customers_of([*TAKEN, moved]) == {"C1", "C2", "C3", "C4"}
