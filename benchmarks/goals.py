"""The goals of performance, and whether a run meets them. Pure.

Each is a ratio to something measured beside it in the same run, so that it holds on any machine; CPU time is compared
first, since it swings less than rates on a machine that others use too. P2 and P6 are absolute, and beside plain Java
it is the rate that counts: a JVM's threads spend CPU time beside the hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.samples import Latency, Row

Verdict = Literal["met", "not met", "not measured"]

PRODUCE, CONSUME, COPY, UNNEST = "floor: produce", "floor: consume", "floor: copy", "floor: unnest"
FLOOR_INTAKE, FLOOR_HOP, FLOOR_CHAIN = "floor: intake", "floor: one hop", "floor: chain of five hops"
INTAKE, LINES, SINGLES = "ingest, batches of 500", "ingest, lines (NDJSON)", "ingest, single events"
ALONE = "ingest, a commit a request"
JAVA_HOP = "plain Java: one hop"
SCORING, SCORING_SAMPLED = "scoring, one process", "scoring, every fact sampled"
CHAIN, CHAIN_TWO, CHAIN_SAMPLED = "chain, 1 replica", "chain, 2 replicas", "chain, every request sampled"
PEER_ONE, PEER_BATCH = "FastStream chain, message a call", "FastStream chain, batch=True"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal: at least (or else at most) `bound`."""

    code: str
    text: str
    bound: float
    at_least: bool = True
    unit: str = "x"
    judged_by_rate: bool = False

    def verdict(self, value: float | None) -> Verdict:
        """Judge a measured value; None was not measured."""
        if value is None:
            return "not measured"
        return "met" if (value >= self.bound if self.at_least else value <= self.bound) else "not met"


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal with its value (by CPU where it is a ratio), the same by rate, and the verdict on what the goal is of."""

    goal: Goal
    value: float | None
    by_rate: float | None
    verdict: Verdict


P1 = Goal("P1", "five real services beside the chain of five floor hops", 0.7)
P2 = Goal("P2", "CPU a snapshot, intake to queued reminder, all processes", 350.0, at_least=False, unit="us")
P3_ONE = Goal("P3", "the chain beside FastStream's, message a call", 70.0)
P3_BATCH = Goal("P3", "the chain beside FastStream's, batch=True", 2.5)
P4 = Goal("P4", "one real service beside the floor hop", 0.8)
P4_JAVA = Goal("P4", "one real service beside a warm plain-Java hop, by rate", 0.9, judged_by_rate=True)
P5 = Goal("P5", "intake, batches of 500, beside the floor intake", 0.89)
P5_LINES = Goal("P5", "intake, lines (NDJSON), beside the floor intake", 0.89)
P5_SINGLES = Goal("P5", "single events grouped beside a commit a request", 2.0)
P6_TENTH = Goal("P6", "p99 accepted to case queued, at 10 % load", 0.5, at_least=False, unit="s")
P6_HALF = Goal("P6", "p99 accepted to case queued, at 50 % load", 1.0, at_least=False, unit="s")


def judge(rows: Sequence[Row], latencies: Sequence[Latency]) -> list[Judged]:
    """Return every goal with what this run says of it."""
    by_name = {row.name: row for row in rows}
    chain = by_name.get(CHAIN)
    return [
        _ratio(P1, by_name, FLOOR_CHAIN, CHAIN),
        _absolute(P2, chain.total if chain else None),
        _ratio(P3_ONE, by_name, PEER_ONE, CHAIN),
        _ratio(P3_BATCH, by_name, PEER_BATCH, CHAIN),
        _ratio(P4, by_name, FLOOR_HOP, SCORING),
        _ratio(P4_JAVA, by_name, JAVA_HOP, SCORING),
        _ratio(P5, by_name, FLOOR_INTAKE, INTAKE),
        _ratio(P5_LINES, by_name, FLOOR_INTAKE, LINES),
        _ratio(P5_SINGLES, by_name, ALONE, SINGLES),
        _absolute(P6_TENTH, _p99(latencies, 0.1)),
        _absolute(P6_HALF, _p99(latencies, 0.5)),
    ]


def _ratio(goal: Goal, rows: Mapping[str, Row], beside: str, ours: str) -> Judged:
    """Judge how many times the other's cost ours is; a rate is better when it is higher, a cost when it is lower."""
    other, own = rows.get(beside), rows.get(ours)
    if other is None or own is None:
        return Judged(goal, None, None, "not measured")
    by_cpu, by_rate = other.total / own.total, own.rate / other.rate
    return Judged(goal, by_cpu, by_rate, goal.verdict(by_rate if goal.judged_by_rate else by_cpu))


def _absolute(goal: Goal, value: float | None) -> Judged:
    return Judged(goal, value, None, goal.verdict(value))


def _p99(latencies: Sequence[Latency], share: float) -> float | None:
    return next((latency.at(0.99) for latency in latencies if latency.share == share), None)
