"""`python -m tests.chaos [--minutes M | --seconds S] [--seed N]`: see `make chaos` and docs/chaos.md.

`--outage SECONDS --target kafka|postgres`: instead of a schedule, that part is away for so long.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Sequence

from rich.console import Console

from deploy.local.errors import AlreadyRunningError, MissingPartError, StartFailedError
from deploy.local.stack import ROOT
from deploy.local.state import default_state_dir
from tests.chaos.report import show
from tests.chaos.run import run

_SEEDS = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run one seed; 0 when nothing was found, 1 when something was or when it could not run."""
    options = _parser().parse_args(arguments)
    seed = secrets.randbelow(_SEEDS) if options.seed is None else options.seed
    console = Console(highlight=False)
    console.print(f"chaos: seed {seed}; the same faults again with SEED={seed}")
    folder = default_state_dir(ROOT) / "chaos"
    seconds = options.outage or options.seconds or options.minutes * 60
    away = options.target if options.outage else None
    try:
        report = asyncio.run(run(seed, seconds, folder, lambda line: console.print(line, markup=False), away))
    except (AlreadyRunningError, MissingPartError, StartFailedError) as error:
        console.print(f"chaos: {error} (seed {seed})", markup=False)
        return 1
    show(report, console)
    if not report.clean:
        console.print(f"the logs are in {folder / 'logs'}; keep the seed: a line in tests/chaos/seeds.txt")
    return 0 if report.clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, help="instead of minutes")
    parser.add_argument("--seed", type=int, help="which faults, and when (default: chance, and said)")
    parser.add_argument("--outage", type=float, metavar="SECONDS", help="instead of a schedule: something is away")
    parser.add_argument("--target", choices=("kafka", "postgres"), default="kafka", help="what --outage takes away")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
