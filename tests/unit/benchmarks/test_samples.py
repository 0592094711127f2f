from __future__ import annotations

import pytest

from benchmarks.meter import Reading, parse
from benchmarks.samples import Cost, Latency, Sample, rows_of


def sample(name: str, client: float, *, events: int = 1000, wall: float = 1.0) -> Sample:
    return Sample(name, events, Cost(wall, client, 0.02, 0.01), {"ingest": client})


def test_rounds_of_one_name_become_one_row_of_medians_in_the_order_they_came() -> None:
    rows = rows_of([sample("hop", 0.01), sample("chain", 0.5), sample("hop", 0.03), sample("hop", 0.02)])
    assert [(row.name, row.rounds) for row in rows] == [("hop", 3), ("chain", 1)]
    hop = rows[0]
    assert (hop.client, hop.postgres, hop.broker, hop.total) == pytest.approx((20.0, 20.0, 10.0, 50.0))
    assert hop.spread == pytest.approx(0.4)
    assert hop.shares == {"ingest": pytest.approx(20.0)}


def test_a_rate_is_events_by_the_wall_clock() -> None:
    (row,) = rows_of([sample("hop", 0.1, events=500, wall=0.25)])
    assert row.rate == pytest.approx(2000.0)


def test_a_latency_knows_its_percentiles() -> None:
    latency = Latency(0.5, 100.0, [0.1] * 98 + [2.0, 3.0])
    assert (latency.at(0.5), latency.at(0.99)) == (0.1, 2.0)


def test_the_cost_of_a_run_is_what_the_counters_went_on() -> None:
    start = Reading(10.0, {1: 1.0, 2: 5.0}, 3.0, 2.0)
    end = Reading(12.0, {1: 1.5, 2: 5.25}, 4.0, 2.5)
    assert end.since(start) == Cost(wall=2.0, client=0.75, postgres=1.0, broker=0.5)


def test_a_process_with_brackets_in_its_name_is_read_alike() -> None:
    fields = "S 7 1 1 0 -1 4194560 1 0 0 0 100 50 25 25 20 0 1 0 1 1 1"
    assert parse(f"42 (postgres: a) b) {fields}") == parse(f"42 (postgres) {fields}")
    assert parse(f"42 (postgres) {fields}").parent == 7
