"""What a portfolio's run shows and counts, and what must hold of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from rich.table import Table

from deploy.demo.events import Event
from deploy.demo.invariants import Seen, Verdict
from deploy.demo.observing import Cases
from deploy.demo.story import Customer

Row = Mapping[str, Any]

_SNAPSHOT: Final = "arrears.account.overdue_reported.v1"
_BUCKETS: Final = ("M7+", "M6", "M5", "M4", "M3", "M2", "M1", "M0")
_MOST_FAULTS: Final = 20
_NO_ACTION: Final = "none"


def verdicts(taken: Sequence[Event], seen: Seen, cases: Cases, day: date) -> list[Verdict]:
    """Measure that every row was graded, every debtor routed and reminded, and nobody who owes nothing."""
    return [not_graded(taken, cases), not_routed(taken, cases, day), not_reminded(seen, cases)]


def not_graded(taken: Sequence[Event], cases: Cases) -> Verdict:
    """Every account that was reported has a grade."""
    graded = {grade["account_id"] for grade in cases.grades}
    accounts = {event["data"]["account_id"] for event in taken if event["type"] == _SNAPSHOT}
    return Verdict("rows not graded", f"{len(accounts):,} accounts", _some(sorted(accounts - graded)))


def not_routed(taken: Sequence[Event], cases: Cases, day: date) -> Verdict:
    """Every customer who owed something before the last day has a case, nobody else has; open ones stand in a queue."""
    owing = debtors(taken, day)
    with_case = {case["customer_id"]: case for case in cases.cases}
    faults = [f"{customer_id} owes and has no case" for customer_id in sorted(owing - with_case.keys())]
    faults += [f"{customer_id} owes nothing and has a case" for customer_id in sorted(with_case.keys() - owing)]
    faults += [
        f"{case['case_id']} is open and in no queue"
        for case in cases.cases
        if case["status"] == "open" and case["queue"] is None and not case["stops"]
    ]
    return Verdict("debtors not routed", f"{len(owing):,} who owe", _some(faults))


def not_reminded(seen: Seen, cases: Cases) -> Verdict:
    """Of every case there is a reminder that left, or that was decided against for a reason."""
    written = {notice["case_id"] for notice in seen.notices if notice["state"] in ("sent", "unconfirmed", "suppressed")}
    faults = [case["case_id"] for case in cases.cases if case["case_id"] not in written]
    return Verdict("cases not reminded", f"{len(cases.cases):,} cases", _some(sorted(faults)))


def customers_of(taken: Sequence[Event]) -> set[str]:
    """Return whose accounts were taken."""
    return {event["data"]["customer_id"] for event in taken if event["type"] == _SNAPSHOT}


def debtors(taken: Sequence[Event], day: date) -> set[str]:
    """Return who owes something that was due before a day."""
    return {
        event["data"]["customer_id"]
        for event in taken
        if event["type"] == _SNAPSHOT
        and event["data"]["amount_past_due"] > 0
        and date.fromisoformat(event["data"]["due_date"]) < day
    }


def counts(taken: Sequence[Event], cases: Cases, day: date) -> dict[str, Any]:
    """Count the portfolio: accounts, who owes, what was suggested where nothing is owed."""
    newest = newest_grades(cases.grades)
    customers = customers_of(taken)
    return {
        "portfolio": {
            "accounts graded": len(newest),
            "customers": len(customers),
            "cases routed": len(cases.cases),
            "nothing owed, no action": len(customers - debtors(taken, day)),
        },
        "grades": dict(sorted(Counter(row["grade"] for row in newest).items())),
    }


def newest_grades(grades: Iterable[Row]) -> list[Row]:
    """Return each account's newest grading; they come newest first a customer."""
    newest: dict[str, Row] = {}
    for grade in grades:
        newest.setdefault(grade["account_id"], grade)
    return list(newest.values())


def by_grade(grades: Iterable[Row]) -> Table:
    """How many accounts stand in each bucket and grade, and of how many nothing is wanted."""
    rows = newest_grades(grades)
    table = _table("账龄与等级 Accounts by bucket and grade", "bucket", "A", "B", "C", "D", "E", "all", "nothing owed")
    count = Counter((row["bucket"], row["grade"]) for row in rows)
    idle = Counter(row["bucket"] for row in rows if row["suggested_treatment"] == _NO_ACTION)
    for bucket in _BUCKETS:
        cells = [count[bucket, grade] for grade in "ABCDE"]
        if any(cells):
            table.add_row(bucket, *map(_number, [*cells, sum(cells), idle[bucket]]))
    table.add_row("", *[""] * 5, _number(len(rows)), _number(sum(idle.values())), style="bold")
    return table


def cases_by_grade(items: Iterable[Row]) -> Table:
    """How many cases stand in each bucket and grade; a case has those of its worst account."""
    table = _table("案件账龄与等级 Cases by bucket and grade", "bucket", "A", "B", "C", "D", "E", "all")
    count = Counter((row["bucket"], row["grade"]) for row in items)
    for bucket in _BUCKETS:
        cells = [count[bucket, grade] for grade in "ABCDE"]
        if any(cells):
            table.add_row(bucket, *map(_number, [*cells, sum(cells)]))
    return table


def by_queue(items: Iterable[Row]) -> Table:
    """Where the cases stand in the evening, and how many of them a collector has."""
    table = _table("案件去向 Where the cases stand", "queue", "cases", "with a collector", "stopped", "in the field")
    rows = list(items)
    for queue, found in sorted(_grouped(rows).items()):
        of_collector = sum(row["collector"] is not None for row in found)
        stopped, handed = sum(row["stopped"] for row in found), sum(row["handed_over"] for row in found)
        table.add_row(queue, *map(_number, [len(found), of_collector, stopped, handed]))
    return table


def by_manner(manners: Mapping[str, int], people: Mapping[str, Customer], cases: Cases) -> Table:
    """What the debtors did, and how their cases stand at the end."""
    table = _table("债务人 What the debtors do", "manner", "customers", "cases open", "closed")
    stand = Counter((people[case["customer_id"]].manner, case["status"]) for case in cases.cases)
    for manner, number in sorted(manners.items(), key=lambda each: -each[1]):
        table.add_row(manner, *map(_number, [number, stand[manner, "open"], stand[manner, "closed"]]))
    return table


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = row["queue"] or "gathering" if row["status"] == "open" else "closed"
        found.setdefault(name, []).append(row)
    return found


def _some(faults: Sequence[str]) -> tuple[str, ...]:
    """Return all faults' count and the first few: a portfolio may have thousands."""
    if len(faults) <= _MOST_FAULTS:
        return tuple(faults)
    return (*faults[:_MOST_FAULTS], f"and {len(faults) - _MOST_FAULTS:,} more")


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table
