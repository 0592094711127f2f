from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.run import FEW, MANY
from tests.chaos.schedule import LINKS, MOST_DELAY, Fault, plan

SEEDS = range(40)
KINDS = {
    "kill", "freeze", "cut", "black_hole", "delay", "drop_responses", "restart", "stall", "leave", "rolling_restart",
}  # fmt: skip


def test_a_seed_gives_the_same_faults_and_another_seed_others() -> None:
    assert plan(5, 60, FEW) == plan(5, 60, FEW)
    assert plan(5, 60, FEW) != plan(6, 60, FEW)


@pytest.mark.parametrize(("seconds", "replicas"), [(60, FEW), (600, MANY)])
def test_every_fault_is_over_at_the_end_and_few_run_at_once(seconds: float, replicas: tuple[str, ...]) -> None:
    for seed in SEEDS:
        faults = plan(seed, seconds, replicas)
        assert all(fault.at > 0 and fault.until <= seconds for fault in faults)
        assert list(faults) == sorted(faults, key=lambda fault: fault.at)
        for fault in faults:
            assert len(_running(faults, fault)) <= 1
            assert fault.target not in {other.target for other in _running(faults, fault)}


def test_a_minute_has_room_for_every_kind() -> None:
    for seed in SEEDS:
        assert {fault.kind for fault in plan(seed, 60, FEW)} == KINDS


def test_ten_minutes_reach_every_kind_evenly_and_outlast_leases_and_sessions() -> None:
    faults = [fault for seed in range(3) for fault in plan(seed, 600, MANY)]
    counts = Counter(fault.kind for fault in faults)
    assert max(counts.values()) - min(counts.values()) <= 3
    assert max(fault.seconds for fault in faults if fault.kind == "freeze") > 30
    assert {fault.target for fault in faults if fault.mode is not None} == set(LINKS)
    assert {fault.target for fault in faults if fault.kind == "kill"} == set(MANY)


def test_only_a_link_in_the_mode_delay_holds_back_and_never_long() -> None:
    for seed in SEEDS:
        for fault in plan(seed, 60, FEW):
            assert (fault.delay > 0) == (fault.kind == "delay")
            assert fault.delay <= MOST_DELAY


def test_only_a_service_s_further_replicas_leave() -> None:
    leaving = {fault.target for seed in SEEDS for fault in plan(seed, 120, FEW) if fault.kind == "leave"}
    assert leaving == {"scoring-1", "notify-1"}


def _running(faults: tuple[Fault, ...], at: Fault) -> list[Fault]:
    """What had begun before and is not over yet."""
    return [other for other in faults if other.at < at.at < other.until]
