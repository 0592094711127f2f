from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.chain import without_gathering
from benchmarks.feed import Numbering, by_partition
from benchmarks.snapshots import batches, events, snapshots
from services.assignment.desk import load_strategy
from services.assignment.settings import PACKAGED_STRATEGY
from services.ingest.answers import MAX_EVENTS
from services.ingest.domain.intake import Sound, judge_all
from services.ingest.domain.rules import Present
from shared.bus.headers import numbers_of, to_envelope
from shared.events.registry import CARD
from shared.web.body import BODY_LIMIT

AT = datetime(2026, 3, 2, 2, tzinfo=UTC)
PRESENT = Present(AT, timedelta(minutes=5), ZoneInfo("Asia/Shanghai"))


def test_intake_takes_every_event_of_a_run() -> None:
    verdicts = judge_all(events("t", 0, 300, AT), PRESENT)
    assert all(isinstance(verdict, Sound) for verdict in verdicts)
    assert len({verdict.id for verdict in verdicts}) == 300


def test_two_runs_tell_the_same_of_other_customers() -> None:
    one, other = snapshots("a", 5, 1, AT)[0], snapshots("b", 5, 1, AT)[0]
    assert one.customer_id != other.customer_id
    assert (one.balance, one.history) == (other.balance, other.history)


def test_a_batch_is_one_that_intake_takes_whole() -> None:
    bodies = batches(events("t", 0, MAX_EVENTS + 1, AT), MAX_EVENTS)
    assert [len(msgspec.json.decode(body)) for body in bodies] == [MAX_EVENTS, 1]
    assert len(bodies[0]) < BODY_LIMIT


def test_facts_are_numbered_densely_a_partition_and_over_calls() -> None:
    numbering = Numbering()
    facts = snapshots("t", 0, 200, AT)
    records = [*numbering.records(facts[:90], AT, sampled=False), *numbering.records(facts[90:], AT, sampled=True)]
    for partition, placed in by_partition(records).items():
        numbers = [found for _, _, headers in placed if (found := numbers_of(headers))]
        assert [each.sequence for each in numbers] == list(range(1, len(placed) + 1))
        assert numbers[0].base == (0, 0)
        assert to_envelope(placed[0][2], CARD.name, partition, numbers[0]).source == CARD.source


def test_the_plan_of_a_run_differs_from_the_packaged_one_in_its_wait_alone(tmp_path: Path) -> None:
    packaged, ours = load_strategy(PACKAGED_STRATEGY), load_strategy(without_gathering(tmp_path))
    assert (packaged.gather_minutes, ours.gather_minutes) == (15, 0)
    assert packaged.segments == ours.segments
