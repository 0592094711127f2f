"""What is measured: CPU seconds and wall time of a number of events, and the latencies of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.statistics import median, percentile, spread

MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds: by the wall clock, and of CPU time (user and system) in our processes, PostgreSQL's and the broker."""

    wall: float
    client: float
    postgres: float
    broker: float

    @property
    def total(self) -> float:
        """CPU seconds of all together."""
        return self.client + self.postgres + self.broker


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run of `events` events; `name` says of what. `shares`: CPU seconds of each of our processes."""

    name: str
    events: int
    cost: Cost
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """The rounds of one name together, each figure the median of its rounds.

    CPU in microseconds an event, `shares` of it by process of ours; `rate` in events a second; `spread` of the total as
    a share of its median.
    """

    name: str
    rounds: int
    total: float
    client: float
    postgres: float
    broker: float
    spread: float
    rate: float
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from an event's acceptance to its effect, at `rate` events a second; `share` of the highest rate."""

    share: float
    rate: float
    seconds: Sequence[float]

    def at(self, share: float) -> float:
        """Return the percentile."""
        return percentile(self.seconds, share)


def rows_of(samples: Iterable[Sample]) -> list[Row]:
    """Return one row a name, in the order in which the names first came."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    return [_row(name, rounds) for name, rounds in by_name.items()]


def _row(name: str, rounds: Sequence[Sample]) -> Row:
    totals = [_micros(each.cost.total, each) for each in rounds]
    return Row(
        name=name,
        rounds=len(rounds),
        total=median(totals),
        client=median([_micros(each.cost.client, each) for each in rounds]),
        postgres=median([_micros(each.cost.postgres, each) for each in rounds]),
        broker=median([_micros(each.cost.broker, each) for each in rounds]),
        spread=spread(totals),
        rate=median([each.events / each.cost.wall for each in rounds]),
        shares={
            process: median([_micros(each.shares.get(process, 0.0), each) for each in rounds])
            for process in rounds[0].shares
        },
    )


def _micros(seconds: float, sample: Sample) -> float:
    return seconds / sample.events * MICROSECONDS
