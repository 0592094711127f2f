"""What this deployment goes by, read once: the strategy file, the rules, the zone, and how long a lease lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import yaml
from yaml.composer import ComposerError

from services.assignment.domain.policy import Policy
from services.assignment.domain.rows import StrategyError
from services.assignment.domain.strategy import Strategy, parse
from services.assignment.settings import Settings
from shared.clock import Clock, RealClock
from shared.rules.loading import StrictLoader
from shared.rules.rulebook import rulebook


@dataclass(frozen=True, slots=True)
class Desk:
    """The policy by which cases are worked; and for leases, which people wait for, the machine's own clock."""

    policy: Policy
    lease: timedelta
    machine: Clock


def desk_of(settings: Settings, now: datetime) -> Desk:
    """Return the desk of these settings. Raises StrategyError, DataFileError when the data are not sound.

    `now`: the domain's present instant; a strategy that begins to hold later cannot be used yet.
    """
    policy = Policy(load_strategy(settings.strategy_file), settings.zone, rulebook(settings.rule_packs))
    first_day, today = policy.strategy.valid_from, policy.day_of(now)
    if first_day > today:
        remedy = "start with it on that day, or set ARREARS_STRATEGY_FILE to the strategy that holds now"
        raise StrategyError((f"{settings.strategy_file.name}: valid_from is {first_day}, after {today}; {remedy}",))
    return Desk(policy, timedelta(minutes=settings.lease_minutes), RealClock())


def load_strategy(path: Path) -> Strategy:
    """Read and check a strategy file. Raises StrategyError with everything that is wrong, each naming the file."""
    try:
        return strategy_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = f"{path.name}: cannot be read ({error.strerror}); set ARREARS_STRATEGY_FILE to a readable file"
        raise StrategyError((fault,)) from error
    except StrategyError as error:
        raise StrategyError(tuple(f"{path.name}: {fault}" for fault in error.faults)) from None


class _Plain(StrictLoader):
    """A strict loader that knows neither anchors nor aliases: a few lines of them stand for millions of values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse a value that has a name, or is one. Raises ComposerError."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        if event.anchor is not None:
            raise ComposerError(None, None, "anchors and aliases are not used here; write it out", event.start_mark)
        return super().compose_node(parent, index)


def strategy_of(text: str) -> Strategy:
    """Return the strategy that a file's text describes. Raises StrategyError with everything that is wrong."""
    try:
        document = yaml.load(text, Loader=_Plain)  # noqa: S506 - a safe loader that allows still less
    # Beside its own errors the reader lets through those of days that no calendar has and of endless nesting.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StrategyError((f"is no YAML; {error}",)) from error
    return parse(document)
