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
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.demo import tables
from deploy.demo.client import Away, Caller, Client, Refusal
from deploy.demo.clocking import NotAtRest, Stepper
from deploy.demo.director import Director
from deploy.demo.generator import everybody
from deploy.demo.invariants import Verdict, judge
from deploy.demo.killing import Killer, moments
from deploy.demo.observing import final_counts
from deploy.demo.story import PACKAGED, StoryError, load
from deploy.demo.telling import Teller, console
from deploy.local.errors import AlreadyRunningError, MissingPartError, StartFailedError
from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT, Stack, wipe
from deploy.local.state import default_state_dir
from shared.clock import step

T = TypeVar("T")

_INTERRUPTED = 130
_HTTP_SECONDS = 15.0
_KILL_SEEDS = 10_000


def main(arguments: Sequence[str]) -> int:
    """Run the demo; its exit code: 0 when every invariant holds, 1 when not or when it could not run."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Chinese letters shows something in their place
        sys.stdout.reconfigure(errors="replace")
    try:
        return asyncio.run(_until_interrupted(options))
    except (AlreadyRunningError, MissingPartError, StartFailedError, StoryError) as error:
        print(f"demo: {error}", file=sys.stderr)
    except (Away, NotAtRest, Refusal) as error:
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
    """Play the whole story on a stack of its own; the exit code."""
    begun = time.monotonic()
    story = load(options.story)
    seed = story.seed if options.seed is None else options.seed
    state = _state()
    wipe(state)
    state.mkdir(parents=True)
    clock_file = state / "clock"
    first = story.opening
    step(clock_file, first)
    teller = Teller(console(), story.zone_info)
    teller.headline(story.title)
    teller.aside(f"PostgreSQL, Kafka, mail catcher, SMS centre and {len(SERVICES)} services start … (seed {seed})")
    async with Stack(state, clock_file=clock_file, say=teller.aside) as stack, _http() as http:
        teller.aside(f"all ready after {time.monotonic() - begun:.0f} s")

        async def token_of(who: Caller) -> str:
            return await stack.token(who.subject, who.role, team=who.team)

        client = Client(http, stack.urls, token_of)
        stepper = Stepper(clock_file, first, SERVICES)
        killer = _killer(stack, options, teller)
        director = Director(story, everybody(story, seed), client, stepper, teller, killer, state / "telemetry")
        try:
            verdicts, counts = await _unless_failed(stack, _run(director))
        finally:
            await killer.stop()
        _tell_end(teller, director, killer, client, verdicts, counts)
    if options.counts is not None:
        options.counts.write_text(json.dumps(counts, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    took = time.monotonic() - begun
    teller.aside(
        f"{took:.0f} s in all, {stepper.seconds:.0f} s of them until all were at rest after {stepper.steps} steps"
    )
    return _verdict(verdicts)


async def _run(director: Director) -> tuple[list[Verdict], dict[str, Any]]:
    await director.run()
    return await _reckon(director)


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


async def _reckon(director: Director) -> tuple[list[Verdict], dict[str, Any]]:
    cases = await director.observer.everything_of_cases()
    card_system = director.card_system
    seen = await director.observer.see(
        director.stepper.now, card_system.taken, card_system.silences, director.rests, cases
    )
    return judge(seen), final_counts(seen, cases)


def _tell_end(
    teller: Teller,
    director: Director,
    killer: Killer,
    client: Client,
    verdicts: Sequence[Verdict],
    counts: dict[str, Any],
) -> None:
    teller.headline("结算 The reckoning")
    teller.show(tables.stories(director.people))
    teller.show(tables.final_counts(counts))
    teller.show(tables.verdicts(verdicts))
    answers = director.card_system.answers
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
    parser.add_argument("--seed", type=int, help="other names and amounts for the twenty")
    parser.add_argument("--kill-seed", type=int, help="other moments for the kills (default: chance, and said)")
    parser.add_argument(
        "--kill", choices=[*SERVICES, "each"], help="SIGKILL this service, or each in turn, at a random moment"
    )
    parser.add_argument("--counts", type=Path, help="write the final counts as one JSON line to this file")
    parser.add_argument("--story", type=Path, default=PACKAGED, help="another story file")
    return parser
