"""The report of a run, as a person reads it at a terminal: CPU an event first, then rates, then the goals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.goals import Judged
from benchmarks.samples import Latency, Row


def report(
    rows: Sequence[Row], judged: Sequence[Judged], latencies: Sequence[Latency], memory: Mapping[str, int], note: str
) -> str:
    """Return the whole report; `memory` is in bytes by process, `note` says what was run and what was not."""
    parts = [
        note,
        "CPU time an event, microseconds (median of the rounds; spread = (highest - lowest) / median of the total)",
        table(("", "total", "ours", "postgres", "broker", "spread", "events/s", "rounds"), map(_cost_line, rows)),
        *(_shares(row) for row in rows if row.shares),
        "Latency, event accepted to case queued, seconds",
        table(("load", "events/s", "events", "p50", "p95", "p99"), map(_latency_line, latencies)),
        "Memory after the run, MB resident",
        table(("process", "MB"), ((name, f"{size / 1e6:.0f}") for name, size in memory.items())),
        "Goals (ratios by CPU time; by rate for comparison)",
        table(("goal", "", "wanted", "measured", "by rate", ""), map(_goal_line, judged)),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return lines in columns: the first to the left, the others to the right; a word when there are no lines."""
    cells = [tuple(head), *(tuple(line) for line in lines)]
    if len(cells) == 1:
        return "  not measured"
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join(
        "  "
        + "  ".join(_pad(cell, width, column) for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    )


def _shares(row: Row) -> str:
    parts = {**row.shares, "PostgreSQL": row.postgres, "broker": row.broker}
    return f"{row.name}, by process, microseconds: " + ", ".join(f"{name} {part:.0f}" for name, part in parts.items())


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _cost_line(row: Row) -> tuple[str, ...]:
    parts = (row.total, row.client, row.postgres, row.broker)
    return (row.name, *(f"{part:.1f}" for part in parts), f"{row.spread:.0%}", f"{row.rate:,.0f}", str(row.rounds))


def _latency_line(latency: Latency) -> tuple[str, ...]:
    shares = (f"{latency.at(share):.3f}" for share in (0.5, 0.95, 0.99))
    return (f"{latency.share:.0%}", f"{latency.rate:,.0f}", f"{len(latency.seconds):,}", *shares)


def _goal_line(judged: Judged) -> tuple[str, ...]:
    goal = judged.goal
    wanted = f"{'>=' if goal.at_least else '<='} {goal.bound:g} {goal.unit}"
    value = "-" if judged.value is None else f"{judged.value:.2f} {goal.unit}"
    by_rate = "-" if judged.by_rate is None else f"{judged.by_rate:.2f} x"
    return (goal.code, goal.text.ljust(60), wanted, value, by_rate, judged.verdict)
