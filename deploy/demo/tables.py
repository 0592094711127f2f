"""The tables that a person wants to read, from the services' own answers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from deploy.demo.card_system import money
from deploy.demo.invariants import Verdict
from deploy.demo.story import Customer, Member

Row = Mapping[str, Any]
_PRESSURE = ("M7+", "M6", "M5", "M4", "M3", "M2", "M1", "M0")


def portfolio(grades: Sequence[Row], people: Mapping[str, Customer]) -> Table:
    """The portfolio after grading: the newest grade of each account, the worst first. Rows carry `customer_id`."""
    table = _table("评级后的资产 The portfolio after grading", "customer", "card", "bucket", "grade")
    table.add_column("score", justify="right")
    table.add_column("past due", justify="right")
    table.add_column("weightiest reason", overflow="ellipsis", no_wrap=True)
    for row in sorted(grades, key=lambda row: (_PRESSURE.index(row["bucket"]), -row["score"])):
        customer = people[row["customer_id"]]
        reason = row["reasons"][0]["zh"] if row["reasons"] else ""
        amount = money(row["basis"]["past_due"])
        table.add_row(customer.label, row["account_id"], row["bucket"], row["grade"], str(row["score"]), amount, reason)
    return table


def grades_by_bucket(grades: Sequence[Row]) -> Table:
    """How many accounts and how much money stand in each bucket and grade."""
    table = _table("账龄与等级 By bucket and grade", "bucket")
    for grade in "ABCDE":
        table.add_column(grade, justify="right")
    table.add_column("past due", justify="right")
    count = Counter((row["bucket"], row["grade"]) for row in grades)
    for bucket in reversed(_PRESSURE):
        rows = [row for row in grades if row["bucket"] == bucket]
        if rows:
            cells = [str(count[bucket, grade] or "") for grade in "ABCDE"]
            table.add_row(bucket, *cells, money(sum(row["basis"]["past_due"] for row in rows)))
    return table


def worklist(items: Sequence[Row], member: Member, people: Mapping[str, Customer]) -> Table:
    """One collector's worklist in its order, with the reasons for it."""
    table = _table(f"工作清单 The worklist of {member.name} ({member.staff_id})", "#", "customer", "bucket", "grade")
    table.add_column("owed", justify="right")
    table.add_column("because", ratio=1)
    for number, item in enumerate(items, 1):
        customer = people[item["customer_id"]]
        because = "；".join(reason["zh"] for reason in item["reasons"])
        owed = " ".join(money(amount["minor"]) for amount in item["owed"])
        table.add_row(str(number), customer.label, item["bucket"], item["grade"] or "-", owed, because)
    return table


def field_lists(lists: Sequence[Row], people: Mapping[str, Customer], team: Mapping[str, Member], day: str) -> Table:
    """What the phone collectors filed for the field on one day, as the supervisor reads it."""
    table = _table(f"外访移交清单 Filed for the field on {day}", "from", "to", "customer", "bucket", "grade", "reason")
    for filed in lists:
        for row in filed["hand_overs"]:
            table.add_row(
                team[filed["phone_agent_id"]].name,
                team[row["field_agent_id"]].name,
                people[row["customer_id"]].label,
                row["bucket"],
                row["grade"] or "-",
                row["reason"],
            )
    return table


def visit_plans(
    plans: Sequence[Row], customers: Mapping[str, Customer], team: Mapping[str, Member], zone: ZoneInfo
) -> Table:
    """The visits as planned, by hour, as the supervisor reads them. `customers`: by case."""
    table = _table("外访计划 The visit plan", "hours", "customer", "district", "who go", "recorder", "due", "hazard")
    rows = [row for plan in plans for row in plan["visits"]]
    for row in sorted(rows, key=lambda row: str(row["starts_at"])):
        customer = customers[row["case_id"]]
        starts, ends, due = (datetime.fromisoformat(row[name]) for name in ("starts_at", "ends_at", "due_at"))
        table.add_row(
            f"{local(starts, zone)}–{ends.astimezone(zone):%H:%M}",
            customer.label,
            customer.district,
            " ".join(team[member].name for member in row["members"]),
            row["recorder_id"],
            local(due, zone),
            customer.hazard or "",
        )
    return table


def reports(rows: Sequence[Row], people: Mapping[str, Customer], team: Mapping[str, Member], zone: ZoneInfo) -> Table:
    """The assistant's list: every visit done and not done."""
    table = _table(
        "辅助行政人员的报告 The assistant's reports", "at", "what", "customer", "collector", "detail", "in time"
    )
    for row in rows:
        in_time = {True: "yes", False: "[red]no[/red]", None: ""}[row["on_time"]]
        customer = people[row["customer_id"]]
        at = local(datetime.fromisoformat(row["at"]), zone)
        collector = team[row["field_agent_id"]].name
        table.add_row(at, row["kind"], customer.label, collector, row["detail"] or "", in_time)
    return table


def notices(rows: Iterable[Row]) -> Table:
    """Notices by purpose, channel, outcome and reason."""
    table = _table("通知 Notices by outcome and reason", "purpose", "channel", "outcome", "reason")
    table.add_column("count", justify="right")
    count = Counter(
        (row["purpose"], row["channel"], row["state"], (row["reason"] or {}).get("code", "")) for row in rows
    )
    for (purpose, channel, state, reason), number in sorted(count.items()):
        table.add_row(purpose, channel, state, reason, str(number))
    return table


def timeline(items: Sequence[Row], customer: Customer, zone: ZoneInfo) -> Table:
    """One case, from its opening on."""
    table = _table(f"案件时间线 The case of {customer.label}", "at", "kind")
    table.add_column("what", ratio=1)
    for item in items:
        table.add_row(local(datetime.fromisoformat(item["at"]), zone), item["kind"], f"{item['zh']}  {item['en']}")
    return table


def stories(people: Sequence[Customer]) -> Table:
    """The ten with a story of their own."""
    table = _table("十个故事 The ten stories", "customer")
    table.add_column("story", ratio=1)
    for customer in people:
        if customer.story is not None:
            table.add_row(customer.label, customer.story)
    return table


def verdicts(found: Sequence[Verdict]) -> Table:
    """The invariants as measured."""
    table = _table("不变量 Invariants, measured", "what must be 0", "measured on")
    table.add_column("count", justify="right")
    for verdict in found:
        style = "green" if verdict.holds else "bold red"
        table.add_row(verdict.name, verdict.of, f"[{style}]{len(verdict.faults)}[/{style}]")
    return table


def final_counts(counts: Mapping[str, Any]) -> Table:
    """The final counts, one line a kind."""
    table = _table("最终计数 Final counts", "what", "count")
    for name, value in counts.items():
        shown = "  ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name, shown)
    return table


def local(instant: datetime, zone: ZoneInfo) -> str:
    """Weekday, day and time in the issuer's zone."""
    return f"{instant.astimezone(zone):%a %d %H:%M}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table
