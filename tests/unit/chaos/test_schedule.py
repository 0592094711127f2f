from __future__ import annotations

from collections import Counter

import pytest

from shared.bus.producing import SEND_SECONDS
from tests.chaos.run import FEW, MANY
from tests.chaos.schedule import DEAF, GATEWAYS, LINKS, MOST_DELAY, Fault, outage, plan

SEEDS = range(40)
KINDS = {
    "kill", "freeze", "cut", "black_hole", "delay", "drop_responses", "restart", "stall", "leave", "rolling_restart",
    "kill_cut_off", "stop_cut_off", "mute", "race",
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
            assert len(_running(faults, fault)) <= 2
            assert not any(fault.touches & other.touches for other in _running(faults, fault))


def test_a_minute_has_room_for_every_kind() -> None:
    for seed in SEEDS:
        assert {fault.kind for fault in plan(seed, 60, FEW)} == KINDS


def test_ten_minutes_reach_every_kind_evenly_and_outlast_leases_and_sessions() -> None:
    faults = [fault for seed in range(4) for fault in plan(seed, 600, MANY)]
    counts = Counter(fault.kind for fault in faults)
    assert max(counts.values()) - min(counts.values()) <= 4
    assert max(fault.seconds for fault in faults if fault.kind == "freeze") > 30
    assert {fault.target for fault in faults if fault.mode is not None} == set(LINKS)
    assert {fault.target for fault in faults if fault.kind == "kill"} == set(MANY)


def test_only_a_link_in_the_mode_delay_holds_back_and_never_long() -> None:
    for seed in SEEDS:
        for fault in plan(seed, 60, FEW):
            assert (fault.delay > 0) == (fault.kind == "delay")
            assert fault.delay <= MOST_DELAY


def test_who_is_killed_or_stopped_cut_off_is_cut_off_from_its_own_parts_and_for_longer_than_a_producer_waits() -> None:
    for seed in SEEDS:
        for fault in plan(seed, 60, FEW):
            if fault.kind in ("kill_cut_off", "stop_cut_off"):
                assert fault.beside.partition("-")[2] == fault.target.partition("-")[0]
            assert fault.kind != "kill_cut_off" or fault.seconds > SEND_SECONDS


def test_stops_race_notices_only_while_nothing_else_is_done_to_the_gateways() -> None:
    for seed in SEEDS:
        for fault in plan(seed, 60, FEW):
            others = {other.target for other in _running(plan(seed, 60, FEW), fault)}
            assert fault.kind != "race" or not others & {*GATEWAYS, DEAF}


def test_an_outage_is_one_fault_for_as_long_as_asked() -> None:
    [fault] = outage("kafka", 300)
    assert (fault.kind, fault.target, fault.seconds) == ("outage", "kafka", 300)


def test_only_a_service_s_further_replicas_leave() -> None:
    leaving = {fault.target for seed in SEEDS for fault in plan(seed, 120, FEW) if fault.kind == "leave"}
    assert leaving == {"scoring-1", "notify-1"}


def _running(faults: tuple[Fault, ...], at: Fault) -> list[Fault]:
    """What had begun before and is not over yet."""
    return [other for other in faults if other.at < at.at < other.until]
