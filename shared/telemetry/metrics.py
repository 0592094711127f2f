"""Every metric of every service: name, type, unit, meaning, labels. docs/metrics.md is printed from here.

    python -m shared.telemetry.metrics > docs/metrics.md

A label holds one of a small, fixed set of values; never a customer, a case, an account or a person.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

LABELS = frozenset(
    {
        "channel",
        "code",
        "decision",
        "instance",
        "method",
        "outcome",
        "reason",
        "route",
        "rule",
        "service",
        "status",
        "topic",
        "version",
    }
)
"""The only labels there are."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FACTS = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. `unit` is for the reader; the name already carries it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: tuple[Spec, ...] = (
    Spec(
        "arrears_consumer_lag_records", "gauge", "facts", "Facts of a topic not yet taken by this replica.", ("topic",)
    ),
    Spec("arrears_outbox_pending", "gauge", "facts", "Facts committed but not yet known to be in Kafka."),
    Spec(
        "arrears_outbox_oldest_age_seconds", "gauge", "seconds", "Age of the oldest fact not yet known to be in Kafka."
    ),
    Spec("arrears_gaps_total", "counter", "gaps", "Numbers missing in a stream: a loss. Must stay 0.", ("topic",)),
    Spec("arrears_dead_letters_total", "counter", "facts", "Facts put aside as dead letters.", ("topic", "code")),
    Spec(
        "arrears_dead_letters_open",
        "gauge",
        "facts",
        "Dead letters that wait for an operator, in the service's database; every replica says the same.",
        ("topic", "code"),
    ),
    Spec(
        "arrears_facts_parked",
        "gauge",
        "facts",
        "Facts that stand behind a dead or waiting one.",
        ("topic",),
    ),
    Spec("arrears_facts_taken_total", "counter", "facts", "Facts handled.", ("topic", "outcome")),
    Spec("arrears_facts_duplicate_total", "counter", "facts", "Facts dropped: at or below the position.", ("topic",)),
    Spec("arrears_facts_stale_total", "counter", "facts", "Facts dropped: of an earlier epoch.", ("topic",)),
    Spec(
        "arrears_leaps_total",
        "counter",
        "gaps",
        "Gaps of a compacted topic that were taken while catching up: replaced facts that the log has dropped.",
        ("topic",),
    ),
    Spec(
        "arrears_forks_total",
        "counter",
        "forks",
        "New epochs that were taken although more of the old one had been: their writer lost facts. Must stay 0.",
        ("topic",),
    ),
    Spec(
        "arrears_append_commit_seconds",
        "histogram",
        "seconds",
        "From the answer of the append to the answer of COMMIT: how long a stream is locked.",
        buckets=_SECONDS,
    ),
    Spec("arrears_batch_size", "histogram", "facts", "Facts handled in one transaction.", buckets=_FACTS),
    Spec(
        "arrears_http_requests_total",
        "counter",
        "requests",
        "Requests answered, by route template.",
        ("method", "route", "status"),
    ),
    Spec(
        "arrears_http_request_seconds",
        "histogram",
        "seconds",
        "From the request to the last byte of its answer, by route template.",
        ("method", "route"),
        _SECONDS,
    ),
    Spec(
        "arrears_contact_decisions_total",
        "counter",
        "decisions",
        "What the contact rules said to an act about to happen, and the rule that decided.",
        ("channel", "decision", "rule"),
    ),
    Spec("arrears_visits_breached_total", "counter", "visits", "Visits not done in their expected time."),
    Spec("arrears_notices_total", "counter", "notices", "What became of notices.", ("channel", "outcome", "reason")),
    Spec("arrears_authz_denied_total", "counter", "requests", "Requests refused with 401 or 403.", ("reason",)),
    Spec("arrears_intake_items_total", "counter", "items", "What became of events handed in.", ("outcome",)),
    Spec("arrears_build_info", "gauge", "", "Always 1; says what runs here.", ("service", "version", "instance")),
)


class Metrics:
    """One process's metrics on a registry of its own. A test builds a fresh one; nothing is global."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series a counter, read by nobody
        self.registry = CollectorRegistry()
        self.consumer_lag_records = self._gauge("arrears_consumer_lag_records")
        self.outbox_pending = self._gauge("arrears_outbox_pending")
        self.outbox_oldest_age_seconds = self._gauge("arrears_outbox_oldest_age_seconds")
        self.gaps = self._counter("arrears_gaps_total")
        self.dead_letters = self._counter("arrears_dead_letters_total")
        self.dead_letters_open = self._gauge("arrears_dead_letters_open")
        self.facts_parked = self._gauge("arrears_facts_parked")
        self.facts_taken = self._counter("arrears_facts_taken_total")
        self.facts_duplicate = self._counter("arrears_facts_duplicate_total")
        self.facts_stale = self._counter("arrears_facts_stale_total")
        self.leaps = self._counter("arrears_leaps_total")
        self.forks = self._counter("arrears_forks_total")
        self.append_commit_seconds = self._histogram("arrears_append_commit_seconds")
        self.batch_size = self._histogram("arrears_batch_size")
        self.http_requests = self._counter("arrears_http_requests_total")
        self.http_request_seconds = self._histogram("arrears_http_request_seconds")
        self.contact_decisions = self._counter("arrears_contact_decisions_total")
        self.visits_breached = self._counter("arrears_visits_breached_total")
        self.notices = self._counter("arrears_notices_total")
        self.authz_denied = self._counter("arrears_authz_denied_total")
        self.intake_items = self._counter("arrears_intake_items_total")
        self.build_info = self._gauge("arrears_build_info")

    def exposition(self) -> bytes:
        """Return the Prometheus text."""
        return generate_latest(self.registry)

    def _counter(self, name: str) -> Counter:
        spec = _spec(name, "counter")
        return Counter(spec.name, spec.meaning, spec.labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        spec = _spec(name, "gauge")
        return Gauge(spec.name, spec.meaning, spec.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        spec = _spec(name, "histogram")
        return Histogram(spec.name, spec.meaning, spec.labels, registry=self.registry, buckets=spec.buckets)


def table() -> str:
    """Return docs/metrics.md: every metric as a row."""
    rows = [
        f"| `{spec.name}` | {spec.kind} | {spec.unit or '-'} | {', '.join(spec.labels) or '-'} | {spec.meaning} |"
        for spec in METRICS
    ]
    head = (
        "# Metrics\n\nWritten by `python -m shared.telemetry.metrics > docs/metrics.md`; do not edit by hand.\n"
        "Each service serves its own at `/metrics` (Prometheus text).\n\n"
        "| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _spec(name: str, kind: str) -> Spec:
    return next(spec for spec in METRICS if spec.name == name and spec.kind == kind)


if __name__ == "__main__":
    sys.stdout.write(table())
