"""What a person reads after a run: the faults by kind with their recovery, the five counts, and each finding. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos.evidence import COUNTS, Finding
from tests.chaos.watching import Recovery

_MOST_FINDINGS = 40


@dataclass(frozen=True)
class Report:
    """The end of a run. `broken`: answers that no fault excuses, by what was called; `size`: how much was done.

    `rebuilt`: how many accounts scoring knew again, of how many, when it read its topics into an empty database.
    """

    seed: int
    seconds: float
    recoveries: Sequence[Recovery]
    findings: Sequence[Finding]
    broken: Mapping[str, int]
    size: Mapping[str, int]
    rebuilt: tuple[int, int]

    @property
    def counts(self) -> dict[str, int]:
        """The five counts."""
        found = Counter(finding.under for finding in self.findings)
        return {count: found[count] for count in COUNTS}

    @property
    def clean(self) -> bool:
        """Whether nothing was found and no answer was broken."""
        return not self.findings and not self.broken


def show(report: Report, console: Console) -> None:
    """Print it."""
    console.print(_faults(report.recoveries))
    done = ", ".join(f"{count} {what}" for what, count in report.size.items())
    console.print(f"what was done: {done}")
    console.print("scoring rebuilt from its topics: {} of {} rows equal".format(*report.rebuilt))
    table = Table("count", "found", title="The five counts")
    for count, found in report.counts.items():
        table.add_row(count, str(found), style="green" if found == 0 else "bold red")
    console.print(table)
    for finding in report.findings[:_MOST_FINDINGS]:
        console.print(f"{finding.under}: {finding.what}", markup=False, soft_wrap=True)
    if len(report.findings) > _MOST_FINDINGS:
        console.print(f"and {len(report.findings) - _MOST_FINDINGS} more")
    for answer, times in report.broken.items():
        console.print(f"broken answer, {times} times: {answer}", markup=False, soft_wrap=True)
    console.print(f"chaos: {'ok' if report.clean else 'failed'}, seed {report.seed}, {report.seconds:.0f} s of faults")


def _faults(recoveries: Sequence[Recovery]) -> Table:
    table = Table("fault", "count", "lasted", "median", "longest", title="Faults, and seconds until all had caught up")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in sorted({recovery.fault.kind for recovery in recoveries}):
        of_kind = [recovery for recovery in recoveries if recovery.fault.kind == kind]
        table.add_row(kind, str(len(of_kind)), _lasted(of_kind), *_took(of_kind))
    return table


def _lasted(recoveries: Sequence[Recovery]) -> str:
    seconds = sorted(recovery.fault.seconds for recovery in recoveries)
    return "-" if seconds[-1] == 0 else f"{seconds[0]:.0f} to {seconds[-1]:.0f} s"


def _took(recoveries: Sequence[Recovery]) -> tuple[str, str]:
    times = [recovery.seconds for recovery in recoveries if recovery.seconds is not None]
    if not times:
        return "never", "never"
    longest = "never" if len(times) < len(recoveries) else f"{max(times):.1f} s"
    return f"{median(times):.1f} s", longest
