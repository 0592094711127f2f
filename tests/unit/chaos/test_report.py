from __future__ import annotations

import io

from rich.console import Console

from tests.chaos.evidence import Finding
from tests.chaos.report import Report, show
from tests.chaos.schedule import Fault
from tests.chaos.watching import Progress, Recovery


def _report(*, findings: list[Finding] | None = None, broken: dict[str, int] | None = None) -> Report:
    recoveries = [
        Recovery(Fault(1.0, "kill", "scoring", 0.0), 2.0),
        Recovery(Fault(5.0, "kill", "notify", 0.0), 4.0),
        Recovery(Fault(9.0, "freeze", "notify", 11.0), None),
    ]
    return Report(42, 60.0, recoveries, findings or [], broken or {}, {"events": 400, "notices sent": 90}, (57, 57))


def _shown(report: Report) -> str:
    text = io.StringIO()
    show(report, Console(file=text, width=100))
    return text.getvalue()


def test_a_person_reads_the_faults_the_counts_and_the_seed() -> None:
    lines = _shown(_report()).splitlines()
    (kill,) = [line for line in lines if "kill" in line]
    assert [word for word in kill.split() if word[0].isdigit()] == ["2", "3.0", "4.0"]
    assert "never" in next(line for line in lines if "freeze" in line)
    assert [line.split()[-2] for line in lines if " lost " in line or " stuck " in line] == ["0", "0"]
    assert "400 events, 90 notices sent" in _shown(_report())
    assert "scoring rebuilt from its topics: 57 of 57 rows equal" in _shown(_report())
    assert lines[-1] == "chaos: ok, seed 42, 60 s of faults"


def test_a_finding_fails_the_run_and_is_told() -> None:
    report = _report(
        findings=[Finding("lost", "event 7 [sic] was taken"), Finding("lost", "event 8"), Finding("twice", "x")]
    )
    assert (report.clean, report.counts["lost"], report.counts["twice"], report.counts["stuck"]) == (False, 2, 1, 0)
    assert "lost: event 7 [sic] was taken" in _shown(report)
    assert _shown(report).splitlines()[-1] == "chaos: failed, seed 42, 60 s of faults"


def test_an_answer_that_no_fault_excuses_fails_the_run() -> None:
    report = _report(broken={"POST ingest /v1/events: 500": 3})
    assert not report.clean
    assert "broken answer, 3 times: POST ingest /v1/events: 500" in _shown(report)


def test_caught_up_is_who_has_read_all_that_was_given() -> None:
    stream = ("card", 0)
    assert Progress({stream: 9}, {("scoring", stream): 5, ("notify", stream): 7}).covers({stream: 5})
    assert not Progress({stream: 9}, {("scoring", stream): 4, ("notify", stream): 7}).covers({stream: 5})
