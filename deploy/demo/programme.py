"""What is on: the story, a made portfolio, or a bank's file; read and checked before anything is started."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from rich.console import RenderableType

from deploy.demo.campaign import REPORT, Campaign, reporting
from deploy.demo.card_system import CardSystem
from deploy.demo.client import Client
from deploy.demo.director import Director
from deploy.demo.generator import everybody
from deploy.demo.invariants import Seen, Verdict
from deploy.demo.loading import loading
from deploy.demo.observing import Cases, Observer
from deploy.demo.playing import Player
from deploy.demo.story import Stage, load
from deploy.demo.telling import Teller
from deploy.portfolio import city, figures, files, staging
from deploy.portfolio.making import Source, portfolio

_SEED: Final = 1
"""Of a made portfolio, and of the people whom a file does not describe."""
_STORY_PATIENCE, _PORTFOLIO_PATIENCE = 150.0, 600.0
"""Seconds that a step may take. Longer than the lease of a message whose sender was killed in mid-sending (90 s)."""


class Play(Protocol):
    """What is played on the stack: the story, or a portfolio."""

    player: Player
    card_system: CardSystem
    observer: Observer

    async def run(self) -> None:
        """Play all days."""

    def verdicts(self, seen: Seen, cases: Cases) -> list[Verdict]:
        """What must hold beside what always must."""

    def ending(self, seen: Seen, cases: Cases) -> list[RenderableType]:
        """What is shown of the people at the end."""

    def counts(self, seen: Seen, cases: Cases) -> dict[str, Any]:
        """What is counted beside what always is."""


Begin: TypeAlias = Callable[[Client, Player, Teller, Path], Play]
"""Makes the play from the parts of a started stack; the path is the stack's state folder."""


@dataclass(frozen=True)
class Plan:
    """What will be played, read and checked before anything is started."""

    stage: Stage
    seed: int
    patience: float
    begin: Begin


def planned(options: argparse.Namespace) -> Plan:
    """Return what the options ask for.

    Raises:
        StoryError: the story cannot be.
        DataFileError: the portfolio's file cannot be used.
        CalendarUnknown: nobody knows which of its days are worked.
    """
    if options.customers is not None:
        return _made(options.customers, _source(options))
    if options.portfolio is not None:
        return _of_file(options.portfolio, options.mapping, _source(options))
    story = load(options.story)
    seed = story.seed if options.seed is None else options.seed

    def begin(client: Client, player: Player, teller: Teller, state: Path) -> Play:
        return Director(story, everybody(story, seed), client, player, teller, state / "telemetry")

    return Plan(story, seed, _STORY_PATIENCE, begin)


def _source(options: argparse.Namespace) -> Source:
    seed = _SEED if options.seed is None else options.seed
    return Source(figures.load().figures, city.load(), seed)


def _made(number: int, source: Source) -> Plan:
    stage = staging.stage(source, f"{number:,} 位持卡人 {number:,} made-up cardholders, five working days", number)
    people = portfolio(source, number)

    def begin(client: Client, player: Player, teller: Teller, _state: Path) -> Play:
        return Campaign(stage, people, reporting(people), client, player, teller)

    return Plan(stage, source.seed, _PORTFOLIO_PATIENCE, begin)


def _of_file(path: Path, mapping: str | None, source: Source) -> Plan:
    file = files.read(path, mapping, staging.FIRST)
    title = f"{path.name}: {file.rows:,} 行 rows, {len(file.events):,} overdue, five working days"
    stage = staging.stage(source, title, len(file.events))
    begins = staging.day_after(file.newest.astimezone(stage.zone_info), REPORT)
    if begins > stage.days[0]:
        stage = staging.stage(source, title, len(file.events), begins)
    people = files.people(source, file.events, stage.zone_info)

    def begin(client: Client, player: Player, teller: Teller, state: Path) -> Play:
        bring = loading(file, staging.FIRST, client, state / "rejected.csv")
        return Campaign(stage, people, bring, client, player, teller)

    return Plan(stage, source.seed, _PORTFOLIO_PATIENCE, begin)
