"""What the workload meant to happen, and what it was answered: written as it goes, one JSON line an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Kind = Literal["event", "contact", "hand_over", "plan", "start", "complete", "fail", "recall", "opt_out"]

TAKEN = frozenset({"accepted", "replayed"})


@dataclass
class Intent:
    """One effect that was meant, however often it was asked for.

    `key`: names the effect. `begun`: machine's instant of the first asking. `taken`: when an answer first said that it
    is stored. `effective_at`: the earliest instant that was promised. `outcomes`: of every asking that was answered.
    """

    kind: Kind
    key: str
    customer_id: str
    detail: Mapping[str, Any]
    begun: datetime
    asked: int = 0
    taken: datetime | None = None
    effective_at: datetime | None = None
    outcomes: list[str] = field(default_factory=list)

    @property
    def is_taken(self) -> bool:
        """Whether the system said that it has it."""
        return self.taken is not None

    @property
    def is_open(self) -> bool:
        """Whether not every asking was answered: it may have happened or not."""
        return len(self.outcomes) < self.asked


class Ledger:
    """All intents, in memory and in a file that outlives the run and is replaced by the next."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        self._file = file
        self.intents: dict[str, Intent] = {}

    def ask(self, kind: Kind, key: str, customer_id: str, detail: Mapping[str, Any], now: datetime) -> Intent:
        """Note that an effect is about to be asked for, for the first time or again."""
        intent = self.intents.get(key)
        if intent is None:
            intent = self.intents[key] = Intent(kind, key, customer_id, detail, now)
        intent.asked += 1
        return intent

    def answer(self, intent: Intent, outcome: str, now: datetime, effective_at: str | None = None) -> None:
        """Note what an asking was answered."""
        intent.outcomes.append(outcome)
        if outcome in TAKEN and intent.taken is None:
            intent.taken = now
        if effective_at is not None:
            promised = datetime.fromisoformat(effective_at)
            intent.effective_at = min(filter(None, (intent.effective_at, promised)))
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(intent) | {"answered": now}, default=str, ensure_ascii=False) + "\n")
