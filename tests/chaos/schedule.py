"""Which fault strikes what, when and for how long: made from a seed alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, TypeVar

from deploy.local.parts import SERVICES
from tests.proxy import FAULTS, Mode

Kind = Literal[
    "kill", "freeze", "cut", "black_hole", "delay", "drop_responses", "restart", "stall", "leave", "rolling_restart",
    "kill_cut_off", "stop_cut_off", "mute", "race", "outage",
]  # fmt: skip
"""Those of chance, and below them those that force a case which chance hardly ever makes:

- `kill_cut_off`: the broker hears nothing of a service for longer than a producer waits, then a replica is killed: what
  it took for sent is lost.
- `stop_cut_off`: a replica gets SIGTERM while the broker, in a long run also the database, does not answer.
- `mute`: a gateway takes messages and its answers are lost, for longer than a sender waits.
- `race`: stops race notices that are due while notify hears nothing of the bus; see `racing`.
- `outage`: the broker or the database is away for long; only when asked for.
"""

T = TypeVar("T")

GATEWAYS = ("smtp-notify", "smpp-notify")
DEAF = "kafka-notify"
"""The link without which notify hears of no stop."""
LINKS = (
    *(f"kafka-{service}" for service in SERVICES),
    *(f"postgres-{service}" for service in SERVICES),
    *GATEWAYS,
)
"""What stands between the services and their parts; a service's replicas share its links."""

MOST_DELAY = 0.3
"""Seconds that a piece is held back at most by a link in the mode `delay`."""

_QUIET = 4.0
"""Seconds at the beginning in which nothing happens."""
_GAP = (1.5, 4.5)
"""Seconds between the beginnings of two faults."""
_SOON = 0.5
"""Seconds after which it is tried again when nothing fits."""
_AT_ONCE = 3
_LASTS = 7.0
_LONG_RUN = 240.0
"""From so many seconds on there is room for faults that outlast a session or a producer's patience."""

_SECONDS: dict[Kind, tuple[float, float]] = {
    "kill": (0, 0),
    "freeze": (10.5, 13.0),  # a lease is 10 s
    "cut": (1.0, 5.0),
    "black_hole": (2.0, 13.0),  # a producer, a gateway and a connection of the pool give up after 10 s
    "delay": (2.0, 6.0),
    "drop_responses": (2.0, 13.0),
    "restart": (0, 0),
    "stall": (3.0, 8.0),
    "leave": (3.0, 9.0),
    "rolling_restart": (0, 0),
    "kill_cut_off": (11.5, 13.0),
    "stop_cut_off": (1.0, 3.0),
    "mute": (10.5, 12.0),
    "race": (7.0, 9.0),
}
_LONG_SECONDS: dict[Kind, tuple[float, float]] = {
    "freeze": (31.0, 40.0),  # a session is 30 s
    "black_hole": (15.0, 45.0),
    "drop_responses": (15.0, 40.0),
    "cut": (15.0, 45.0),
    "leave": (31.0, 45.0),
}


@dataclass(frozen=True)
class Fault:
    """One fault. `at`: seconds after the beginning; `seconds`: how long it lasts, 0 for one that is an instant."""

    at: float
    kind: Kind
    target: str
    seconds: float
    delay: float = 0.0
    """Of the mode `delay`: how long a piece is held back."""
    beside: str = ""
    """The link that is cut off as well."""

    @property
    def mode(self) -> Mode | None:
        """The mode of a link that this fault is, if it is one."""
        return "drop_responses" if self.kind == "mute" else next((mode for mode in FAULTS if mode == self.kind), None)

    @property
    def touches(self) -> frozenset[str]:
        """All that no other fault may strike meanwhile."""
        return frozenset({self.target, self.beside, *(GATEWAYS if self.kind == "race" else ())}) - {""}

    @property
    def until(self) -> float:
        """When it is over."""
        return self.at + self.seconds

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        beside = f" beside {self.beside}" if self.beside else ""
        return f"{self.kind} {self.target}{beside}{lasts}"


def plan(seed: int, seconds: float, replicas: Sequence[str]) -> tuple[Fault, ...]:
    """Return the faults of a run over `seconds`, in order of their beginning; all are over at its end.

    Every kind comes before one comes again, and every target of a kind before one comes again. `replicas`: all that
    run; those that are not a service's first one may leave.
    """
    chance = Random(f"schedule {seed}")
    targets = {kind: _dealt(chance, each) for kind, each in _targets(replicas).items() if each}
    waiting: list[Fault] = []
    faults: list[Fault] = []
    at = _QUIET
    while at < seconds:
        if not waiting:
            kinds = chance.sample(list(targets), len(targets))
            waiting = [_fault(chance, kind, next(targets[kind]), seconds) for kind in kinds]
            if seconds < _LONG_RUN:  # little room: what lasts goes first, else it would find none
                waiting.sort(key=lambda fault: fault.seconds >= _LASTS, reverse=True)
        chosen = next((fault for fault in waiting if _fits(replace(fault, at=at), faults, seconds)), None)
        if chosen is None:
            at = round(at + _SOON, 2)
            continue
        waiting.remove(chosen)
        faults.append(replace(chosen, at=at))
        at = round(at + chance.uniform(*_GAP), 2)
    return tuple(faults)


def outage(target: str, seconds: float) -> tuple[Fault, ...]:
    """Return the schedule of a run in which nothing happens but that the broker or the database is away for long."""
    return (Fault(_QUIET, "outage", target, seconds),)


def _targets(replicas: Sequence[str]) -> dict[Kind, Sequence[str]]:
    return {
        "kill": replicas,
        "freeze": replicas,
        "cut": LINKS,
        "black_hole": LINKS,
        "delay": LINKS,
        "drop_responses": LINKS,
        "restart": ("kafka", "postgres"),
        "stall": ("kafka",),
        "leave": [replica for replica in replicas if "-" in replica],
        "rolling_restart": SERVICES,
        "kill_cut_off": replicas,
        "stop_cut_off": replicas,
        "mute": GATEWAYS,
        "race": (DEAF,),
    }


def _dealt(chance: Random, cards: Sequence[T]) -> Iterator[T]:
    """Deal all cards, shuffled, again and again."""
    while True:
        yield from chance.sample(cards, len(cards))


def _fault(chance: Random, kind: Kind, target: str, seconds: float) -> Fault:
    is_long = seconds >= _LONG_RUN and kind in _LONG_SECONDS and chance.random() < 1 / 3
    lasts = chance.uniform(*(_LONG_SECONDS if is_long else _SECONDS)[kind])
    delay = chance.uniform(0.02, MOST_DELAY) if kind == "delay" else 0.0
    beside = _beside(chance, kind, target, ("kafka", "postgres") if seconds >= _LONG_RUN else ("kafka",))
    return Fault(0.0, kind, target, round(lasts, 2), round(delay, 3), beside)


def _beside(chance: Random, kind: Kind, target: str, parts: Sequence[str]) -> str:
    service = target.partition("-")[0]
    match kind:
        case "kill_cut_off":
            return f"kafka-{service}"
        case "stop_cut_off":
            return f"{chance.choice(parts)}-{service}"
        case _:
            return ""


def _fits(fault: Fault, before: Sequence[Fault], seconds: float) -> bool:
    """Few faults at a time, none on what is still under one, and none that outlasts the run."""
    running = [other for other in before if other.until > fault.at]
    apart = not any(fault.touches & other.touches for other in running)
    return fault.until <= seconds and len(running) < _AT_ONCE and apart
