"""Installs FastStream beside the project, and measures the chain of five hops written with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import goals
from benchmarks.alone import HOPS, Alone
from benchmarks.feed import Record
from benchmarks.lines import Line, running
from benchmarks.samples import Sample
from deploy.local.parts import base_environment
from deploy.local.process import Process
from deploy.local.stack import ROOT

REQUIREMENTS = ROOT / "benchmarks" / "requirements-peers.txt"
ONE_EVENTS, BATCH_EVENTS = 400, 6_000
"""A message a call is about a hundred times dearer, so fewer events take as long."""

_WARM_UP = 60


def install(folder: Path) -> Path:
    """Make or update the peers' venv in `folder`, from their lock; returns its Python.

    Raises:
        subprocess.CalledProcessError: the packages cannot be fetched.
    """
    venv = folder / "peers-venv"
    python = venv / "bin" / "python"
    uv = (sys.executable, "-m", "uv")
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    sync = ("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(REQUIREMENTS))
    subprocess.run([*uv, *sync], check=True)
    return python


async def measure(alone: Alone, python: Path) -> list[Sample]:
    """Run both chains once."""
    return [
        await _chain(alone, python, goals.PEER_ONE, "faststream_one", ONE_EVENTS),
        await _chain(alone, python, goals.PEER_BATCH, "faststream_batch", BATCH_EVENTS),
    ]


async def _chain(alone: Alone, python: Path, name: str, module: str, events: int) -> Sample:
    topics = [f"{module.replace('_', '-')}-{alone.made}-{number}" for number in range(HOPS + 1)]
    await alone.topics.make(*topics)
    specs = []
    for number in range(HOPS):
        database = f"{module}_{number}"
        await alone.stack.create_database(database)
        words = (alone.url(database), alone.stack.bootstrap, topics[number], topics[number + 1])
        argv = (str(python), "-m", f"benchmarks.peers.{module}", *words)
        specs.append(Process(name=database, argv=argv, env=base_environment(), cwd=ROOT, grace=3))
    async with running(specs, alone.folder) as pids:
        line = Line(name, pids, topics[0], topics[-1], alone.topics, alone.servers)
        await line.warm_up(_plain(alone, _WARM_UP))
        return await line.measure(_plain(alone, events))


def _plain(alone: Alone, events: int) -> list[Record]:
    """Facts with no more headers than a peer reads; one fact a customer, so the customer names the event."""
    return [
        (key, value, [("ce_id", key), ("content-type", b"application/json")])
        for key, value, _ in alone.unnumbered(events)
    ]
