"""Which card decides and which one is only heard: the champion, and beside it the challenger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.scoring.domain.card import Card, card_on


@dataclass(frozen=True, slots=True)
class Pair:
    """The cards of one day: what the champion says is published, what the challenger says is recorded."""

    champion: Card
    challenger: Card | None = None

    @property
    def cards(self) -> tuple[Card, ...]:
        """Both, the champion first."""
        return (self.champion,) if self.challenger is None else (self.champion, self.challenger)


@dataclass(frozen=True, slots=True)
class Panel:
    """Every dated card of the champion's name, and of the challenger's (none: nobody challenges)."""

    champion: Sequence[Card]
    challenger: Sequence[Card] = ()

    def on(self, day: date) -> Pair:
        """Return the cards that hold on `day`; a challenger whose first day is still to come says nothing.

        Raises:
            LookupError: no champion is valid on that day.
        """
        heard = any(card.valid_from <= day for card in self.challenger)
        return Pair(card_on(self.champion, day), card_on(self.challenger, day) if heard else None)
