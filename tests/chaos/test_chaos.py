"""The short form of the fault rig, for every run of the tests; `make chaos` is the long one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.stack import ROOT
from tests.chaos.report import show
from tests.chaos.run import run

_MOST_SECONDS = 60.0
_SEEDS = Path(__file__).with_name("seeds.txt")


def kept_seeds() -> list[tuple[int, float]]:
    """Seed and seconds of each line of the regression list."""
    lines = (line.split(maxsplit=2) for line in _SEEDS.read_text(encoding="utf-8").splitlines())
    return [(int(words[0]), float(words[1])) for words in lines if words and words[0] != "#"]


def test_the_kept_seeds_are_few_enough_for_every_run() -> None:
    assert 0 < sum(seconds for _, seconds in kept_seeds()) <= _MOST_SECONDS


@pytest.mark.parametrize(("seed", "seconds"), kept_seeds())
async def test_nothing_is_lost_twice_out_of_order_stuck_or_sent_after_a_stop(seed: int, seconds: float) -> None:
    """A seed gives the same faults at the same moments; what exactly they meet differs from run to run."""
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "tests-chaos"
    told: list[str] = []
    report = await run(seed, seconds, folder, told.append)
    text = io.StringIO()
    show(report, Console(file=text, width=120))
    assert report.clean, "\n".join([f"seed {seed}", *told, text.getvalue(), f"the logs are in {folder / 'logs'}"])
    assert min(report.size[what] for what in ("events", "contacts", "hand-overs", "notices sent")) > 0
