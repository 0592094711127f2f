"""The command: reads its options, starts the stack, plays the story, reckons, stops."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from rich.console import RenderableType

from deploy.demo import tables
from deploy.demo.client import Away, Caller, Client, Refusal
from deploy.demo.clocking import NotAtRest, Stepper
from deploy.demo.invariants import Verdict, judge
from deploy.demo.killing import Killer, moments
from deploy.demo.loading import LoadFailed
from deploy.demo.observing import final_counts
from deploy.demo.playing import Player
from deploy.demo.programme import Play, planned
from deploy.demo.story import PACKAGED, StoryError
from deploy.demo.telling import Teller, console
from deploy.local.errors import AlreadyRunningError, MissingPartError, StartFailedError
from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT, Stack, wipe
from deploy.local.state import default_state_dir
from shared.clock import step
from shared.rules.calendar import CalendarUnknown
from shared.rules.loading import DataFileError

T = TypeVar("T")

_INTERRUPTED = 130
_HTTP_SECONDS = 15.0
_KILL_SEEDS = 10_000
_MOST_CUSTOMERS: Final = 100_000


@dataclass(frozen=True)
class Reckoning:
    """What was found at the end."""

    verdicts: list[Verdict]
    counts: dict[str, Any]
    shown: list[RenderableType]


def main(arguments: Sequence[str]) -> int:
    """Run the demo; its exit code: 0 when every invariant holds, 1 when not or when it could not run."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Chinese letters shows something in their place
        sys.stdout.reconfigure(errors="replace")
    try:
        return asyncio.run(_until_interrupted(options))
    except (
        AlreadyRunningError, CalendarUnknown, DataFileError, MissingPartError, StartFailedError, StoryError
    ) as error:  # fmt: skip
        print(f"demo: {error}", file=sys.stderr)
    except (Away, LoadFailed, NotAtRest, Refusal) as error:
        print(f"demo: stopped: {error}", file=sys.stderr)
        print(f"demo: the logs are in {_state() / 'logs'}", file=sys.stderr)
    return 1


async def _until_interrupted(options: argparse.Namespace) -> int:
    playing = asyncio.ensure_future(play(options))
    interrupted = asyncio.Event()

    def on_signal() -> None:
        if interrupted.is_set():
            os._exit(_INTERRUPTED)  # asked twice: leave at once, the kernel ends the children
        interrupted.set()
        playing.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        return await playing
    except asyncio.CancelledError:
        if not interrupted.is_set():
            raise
        print("demo: interrupted, everything is stopped", file=sys.stderr)
        return _INTERRUPTED


async def play(options: argparse.Namespace) -> int:
    """Play the whole on a stack of its own; the exit code."""
    begun = time.monotonic()
    plan = planned(options)
    state = _state()
    wipe(state)
    state.mkdir(parents=True)
    clock_file = state / "clock"
    first = plan.stage.opening
    step(clock_file, first)
    teller = Teller(console(), plan.stage.zone_info)
    teller.headline(plan.stage.title)
    parts = f"PostgreSQL, Kafka, mail catcher, SMS centre and {len(SERVICES)} services"
    teller.aside(f"{parts} start … (seed {plan.seed})")
    async with Stack(state, clock_file=clock_file, say=teller.aside) as stack, _http() as http:
        teller.aside(f"all ready after {time.monotonic() - begun:.0f} s")

        async def token_of(who: Caller) -> str:
            return await stack.token(who.subject, who.role, team=who.team)

        client = Client(http, stack.urls, token_of)
        killer = _killer(stack, options, teller)
        stepper = Stepper(clock_file, first, SERVICES, plan.patience)
        playing = plan.begin(client, Player(plan.stage, client, stepper, teller, killer), teller, state)
        try:
            found = await _unless_failed(stack, _run(playing, teller))
        finally:
            await killer.stop()
        _tell_end(teller, playing, killer, client, found)
    if options.counts is not None:
        options.counts.write_text(json.dumps(found.counts, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    took = time.monotonic() - begun
    teller.aside(
        f"{took:.0f} s in all, {stepper.seconds:.0f} s of them until all were at rest after {stepper.steps} steps"
    )
    return _verdict(found.verdicts)


async def _run(playing: Play, teller: Teller) -> Reckoning:
    await playing.run()
    begun = time.monotonic()
    found = await _reckon(playing)
    teller.aside(f"everything looked at in {time.monotonic() - begun:.0f} s")
    return found


async def _unless_failed(stack: Stack, job: Coroutine[Any, Any, T]) -> T:
    """The job's result.

    Raises:
        StartFailedError: a process was given up in the meantime.
    """
    working, failing = asyncio.create_task(job), asyncio.create_task(stack.failed())
    try:
        await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
        return await working
    finally:
        for task in (working, failing):
            task.cancel()
        await asyncio.gather(working, failing, return_exceptions=True)


async def _reckon(playing: Play) -> Reckoning:
    cases = await playing.observer.everything_of_cases()
    cards, player = playing.card_system, playing.player
    seen = await playing.observer.see(player.now(), cards.taken, cards.silences, player.rests, cases)
    return Reckoning(
        verdicts=[*judge(seen), *playing.verdicts(seen, cases)],
        counts=final_counts(seen, cases) | playing.counts(seen, cases),
        shown=playing.ending(seen, cases),
    )


def _tell_end(teller: Teller, playing: Play, killer: Killer, client: Client, found: Reckoning) -> None:
    teller.headline("结算 The reckoning")
    for each in (*found.shown, tables.final_counts(found.counts), tables.verdicts(found.verdicts)):
        teller.show(each)
    answers = playing.card_system.answers
    teller.aside(f"intake answered: {', '.join(f'{outcome} {count}' for outcome, count in answers.items())}")
    if killer.killed:
        teller.aside(f"killed on the way: {', '.join(killer.killed)}; {client.retries} calls had to be repeated")


def _verdict(verdicts: Sequence[Verdict]) -> int:
    failed = [verdict for verdict in verdicts if not verdict.holds]
    for verdict in failed:
        for fault in verdict.faults:
            print(f"demo: {verdict.name}: {fault}", file=sys.stderr)
    print("demo: failed" if failed else "demo: ok", flush=True)
    return 1 if failed else 0


def _killer(stack: Stack, options: argparse.Namespace, teller: Teller) -> Killer:
    if options.kill is None:
        return Killer(stack.kill, {}, 0)
    seed = secrets.randbelow(_KILL_SEEDS) if options.kill_seed is None else options.kill_seed
    teller.aside(f"kill -9 at random moments, the same again with --kill-seed {seed}")
    return Killer(stack.kill, moments(SERVICES if options.kill == "each" else (options.kill,), seed), seed)


def _state() -> Path:
    return default_state_dir(ROOT) / "demo"


def _http() -> httpx.AsyncClient:
    # A proxy of the environment must not stand between the demo and its own machine.
    return httpx.AsyncClient(timeout=_HTTP_SECONDS, trust_env=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--seed", type=int, help="other names and amounts for the twenty, or another portfolio")
    played = parser.add_mutually_exclusive_group()
    played.add_argument("--customers", type=_customers, metavar="N", help="a made-up portfolio of so many customers")
    played.add_argument("--portfolio", type=Path, metavar="FILE", help="a bank's file of overdue accounts (CSV, XLSX)")
    parser.add_argument("--mapping", help="of that file: uci, template or a YAML file (default: by its columns)")
    parser.add_argument("--kill-seed", type=int, help="other moments for the kills (default: chance, and said)")
    parser.add_argument(
        "--kill", choices=[*SERVICES, "each"], help="SIGKILL this service, or each in turn, at a random moment"
    )
    parser.add_argument("--counts", type=Path, help="write the final counts as one JSON line to this file")
    played.add_argument("--story", type=Path, default=PACKAGED, help="another story file")
    return parser


def _customers(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_CUSTOMERS:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {_MOST_CUSTOMERS}")
    return number
