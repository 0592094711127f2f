"""How the demo speaks: short lines as the days pass, tables, messages. Readable at 100 columns, and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from deploy.demo.story import Customer

Row = Mapping[str, Any]
_WIDTH = 100

_SYSTEM_TELLS = frozenset(
    {
        "step_renewed", "plan_ended", "opted_out", "stop_set", "stop_lifted", "promise_kept", "promise_broken",
        "recalled", "case_closed",
    }
)  # fmt: skip
_VISIT_ENDS = frozenset({"breached", "withdrawn"})


def is_news(entry: Row, before: Sequence[Row]) -> bool:
    """Whether a timeline entry says what nobody of the script has said already; `before`: those that stand above it."""
    match entry["kind"]:
        case "visit":
            return entry["data"]["state"] in _VISIT_ENDS
        case "case_graded":  # the first grade is in the portfolio
            return any(each["kind"] == "case_graded" for each in before)
        case "notice":  # that a reminder left at once and arrived is no news
            return entry["data"]["state"] not in ("sent", "delivered") or (
                entry["data"]["state"] == "sent"
                and all(each["kind"] != "reminder_due" or each["at"] != entry["at"] for each in before)
            )
    return entry["kind"] in _SYSTEM_TELLS


def console() -> Console:
    """The terminal at its own width, at most 100 columns; anything else at 100."""
    width = Console().width if Console().is_terminal else _WIDTH
    return Console(width=min(width, _WIDTH), highlight=False, emoji=False)


class Teller:
    """Tells the story."""

    def __init__(self, out: Console, zone: ZoneInfo) -> None:
        self._out = out
        self._zone = zone
        self._day: date | None = None
        self._told: dict[str, int] = {}

    def headline(self, text: str) -> None:
        """A line across the page."""
        self._out.rule(f"[bold]{text}", align="left", characters="─")

    def line(self, at: datetime, text: str) -> None:
        """What happened at an instant of the story; the day is said when it changes."""
        local = at.astimezone(self._zone)
        if local.date() != self._day:
            self._day = local.date()
            self._out.print()
            self.headline(f"{local:%A %Y-%m-%d}")
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_row(f"[dim]{local:%H:%M}[/dim]", text)
        self._out.print(row)

    def lines(self, at: datetime, texts: Iterable[str]) -> None:
        """Several of them."""
        for text in texts:
            self.line(at, text)

    def aside(self, text: str) -> None:
        """What is said about the demo itself, not in it."""
        self._out.print(f"[dim]{text}[/dim]")

    def show(self, what: RenderableType) -> None:
        """A table or a tree."""
        self._out.print()
        self._out.print(what)
        self._out.print()

    def timelines(self, timelines: Iterable[tuple[Customer, str, Sequence[Row]]]) -> None:
        """What the system itself did with cases since they were last told: (customer, case, timeline)."""
        news = []
        for customer, case_id, timeline in timelines:
            told = self._told.get(case_id, 0)
            self._told[case_id] = len(timeline)
            fresh = range(told, len(timeline))
            news += [(timeline[place], customer) for place in fresh if is_news(timeline[place], timeline[:place])]
        for entry, customer in sorted(news, key=lambda each: (each[0]["at"], each[1].customer_id, each[0]["seq"])):
            words = f"{escape(entry['zh'])} [dim]{escape(entry['en'])}[/dim]"
            self.line(datetime.fromisoformat(entry["at"]), f"[dim]·[/dim] {customer.label}: {words}")

    def message(self, title: str, text: str) -> None:
        """A message as the customer reads it."""
        self.show(Panel(escape(text.strip()), title=title, title_align="left", width=min(_WIDTH, self._out.width)))
