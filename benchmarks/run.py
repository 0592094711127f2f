"""One run: all that is measured, in interleaved rounds on one machine and the same events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import floors, goals, peering
from benchmarks.alone import Alone
from benchmarks.chain import SAMPLED, SECOND, UNSAMPLED, Chain, without_gathering
from benchmarks.feed import Topics
from benchmarks.meter import Servers
from benchmarks.plain_java import PlainJava
from benchmarks.samples import Latency, Sample, rows_of
from deploy.local.parts import SERVICES
from deploy.local.stack import Stack, wipe

PARTS = ("floors", "hops", "intake", "chain", "latency", "sampled", "two")
_WHOLE = frozenset(("chain", "latency", "sampled", "two"))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: events a run of one hop and of the chain, and what else."""

    rounds: int = 3
    hop_events: int = 20_000
    chain_events: int = 6_000
    latency_seconds: float = 8.0
    peer_python: Path | None = None
    million: bool = False
    parts: frozenset[str] = frozenset(PARTS)


@dataclass
class Result:
    """What a run gave, in the order in which it was measured."""

    samples: list[Sample] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    idle: float | None = None


async def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Result:
    """Measure all of `plan` on a stack of its own under `folder`."""
    result = Result()
    whole = plan.million or bool(plan.parts & _WHOLE)
    # The issuer of tokens comes with any service.
    services = (*SERVICES, *SECOND) if whole else ("ingest",)
    async with _bench(folder, services) as (chain, alone):
        java = await asyncio.to_thread(PlainJava, folder, say) if "hops" in plan.parts else None
        say("warming up")
        if whole:
            await chain.stop(SECOND)
            await chain.measure("warm-up", 2_000)
        await chain.stop(_running(chain))
        for number in range(1, plan.rounds + 1):
            say(f"round {number} of {plan.rounds}")
            await _round(plan, chain, alone, java, result, say)
        if "latency" in plan.parts:
            await _latencies(plan, chain, result, say)
        if "sampled" in plan.parts:
            await _chains(plan, chain, result, goals.CHAIN_SAMPLED, SERVICES, SAMPLED)
        if "two" in plan.parts:
            # Last, since the partitions of replicas that leave wait half a minute for them.
            await _chains(plan, chain, result, goals.CHAIN_TWO, (*SERVICES, *SECOND), UNSAMPLED)
        if plan.million:
            say("a million events through the chain")
            await chain.start(SERVICES)
            result.samples.append(await chain.measure("chain, a million events", 1_000_000))
            result.memory = chain.memory()
    return result


@asynccontextmanager
async def _bench(folder: Path, services: Sequence[str]) -> AsyncIterator[tuple[Chain, Alone]]:
    state = folder / "stack"
    wipe(state)
    more: dict[str, MutableMapping[str, str]] = {service: dict(UNSAMPLED) for service in SERVICES}
    more["assignment"]["ARREARS_STRATEGY_FILE"] = str(without_gathering(folder))
    stack = Stack(state, services=services, more=more, say=lambda line: None)
    async with stack, Topics(stack.bootstrap) as topics:
        pids = {status.name: status.pid for status in stack.status()}
        servers = Servers(postgres=pids["postgres"] or 0, broker=pids["kafka"] or 0)
        at = datetime.now(UTC).replace(microsecond=0)
        alone = await Alone.on(stack, topics, servers, folder / "logs", at)
        yield Chain(stack, servers, at, more), alone


async def _round(
    plan: Plan, chain: Chain, alone: Alone, java: PlainJava | None, result: Result, say: Callable[[str], None]
) -> None:
    """One round; nothing but what is measured runs meanwhile."""
    if "floors" in plan.parts:
        result.samples += await _floors(alone, plan.hop_events)
    if "hops" in plan.parts:
        assert java is not None
        result.samples += await alone.hops(plan.hop_events, java, with_sampled=True)
    if "intake" in plan.parts:
        result.samples += await alone.intake(plan.hop_events)
    if plan.peer_python is not None:
        result.samples += await peering.measure(alone, plan.peer_python)
    if "chain" in plan.parts:
        await chain.start(SERVICES)
        result.idle = await chain.idle(2.0)
        result.samples.append(await chain.measure(goals.CHAIN, plan.chain_events))
        result.memory = chain.memory()
        await chain.stop(_running(chain))
    for row in rows_of(result.samples):
        say(f"  {row.name:<36} {row.total:8.1f} us {row.rate:10,.0f}/s")


async def _chains(
    plan: Plan, chain: Chain, result: Result, name: str, services: Sequence[str], settings: Mapping[str, str]
) -> None:
    """All rounds of another form of the chain, after those that are compared with the floors."""
    for each in chain.settings.values():
        each.update(settings)
    await chain.start(services)
    await chain.measure("warm-up", 1_000)
    for _ in range(plan.rounds):
        result.samples.append(await chain.measure(name, plan.chain_events))
    await chain.stop(_running(chain))


async def _floors(alone: Alone, events: int) -> list[Sample]:
    records = [(key, value) for key, value, _ in alone.unnumbered(events)]
    kafka = await floors.measure_kafka(alone.servers, alone.stack.bootstrap, "floor-kafka", records)
    return kafka + await floors.measure_postgres(alone.servers, alone.stack.admin_url, records)


async def _latencies(plan: Plan, chain: Chain, result: Result, say: Callable[[str], None]) -> None:
    rows = {row.name: row for row in rows_of(result.samples)}
    top = rows.get(goals.CHAIN)
    if top is None:
        return
    await chain.start(SERVICES)
    for share in (0.1, 0.5):
        say(f"latency at {share:.0%} of {top.rate:,.0f} events/s")
        result.latencies.append(await chain.latency(share, top.rate * share, plan.latency_seconds))
    await chain.stop(_running(chain))


def _running(chain: Chain) -> list[str]:
    names = {replica.name for replica in chain.stack.replicas}
    return [status.name for status in chain.stack.status() if status.name in names and status.pid is not None]
