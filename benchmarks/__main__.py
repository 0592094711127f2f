"""`python -m benchmarks`: measures, prints the report, and keeps the raw figures as JSON under .local/bench."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peering
from benchmarks.goals import judge
from benchmarks.run import PARTS, Plan, Result, run
from benchmarks.samples import rows_of
from benchmarks.table import report
from deploy.local.stack import ROOT

_STARTED = time.monotonic()


def main() -> int:
    """Run as the arguments say."""
    options = _options()
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        rounds=options.rounds,
        hop_events=options.events,
        chain_events=options.chain_events,
        peer_python=peering.install(folder) if options.peers else None,
        million=options.million,
        parts=frozenset(options.only or PARTS),
    )
    before = os.getloadavg()
    result = asyncio.run(run(plan, folder, _say))
    surroundings = {
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_before": before,
        "load_after": os.getloadavg(),
        "python": platform.python_version(),
    }
    file = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    file.write_text(json.dumps({**surroundings, **_raw(result)}, indent=1), encoding="utf-8")
    rows = rows_of(result.samples)
    print(report(rows, judge(rows, result.latencies), result.latencies, result.memory, _note(plan, result, before)))
    print(f"raw figures: {file}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are reported")
    parser.add_argument("--events", type=int, default=20_000, help="events of a run of one hop")
    parser.add_argument("--chain-events", type=int, default=6_000, help="events of a run of the chain")
    parser.add_argument("--peers", action="store_true", help="also the same chain in FastStream, in a venv of its own")
    parser.add_argument("--million", action="store_true", help="at the end a million events, then memory (20 minutes)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="only these parts")
    return parser.parse_args()


def _note(plan: Plan, result: Result, before: tuple[float, float, float]) -> str:
    lines = [
        f"{os.cpu_count()} cores, load {before[0]:.1f} before and {os.getloadavg()[0]:.1f} after.",
        f"Events: {plan.hop_events:,} a hop, {plan.chain_events:,} a chain, each of another customer.",
    ]
    if plan.peer_python is None:
        lines.append("The FastStream chains were not run: make bench PEERS=1 runs them.")
    if result.idle is not None:
        lines.append(
            f"Five services at rest take {result.idle:.2f} CPU seconds a second, databases and broker included."
        )
    return "\n".join(lines)


def _raw(result: Result) -> dict[str, object]:
    return {
        "samples": [asdict(sample) for sample in result.samples],
        "latencies": [asdict(latency) for latency in result.latencies],
        "memory": result.memory,
        "idle_cpu": result.idle,
    }


def _say(line: str) -> None:
    print(f"{time.monotonic() - _STARTED:5.0f} s  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
