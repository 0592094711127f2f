"""`python -m deploy.portfolio 300 --seed 7`: a made portfolio as CloudEvents, one a line, ready for intake.

First how each customer can be reached, then what is overdue. The same numbers give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from deploy.demo import events
from deploy.portfolio import city, figures
from deploy.portfolio.making import Source, portfolio
from deploy.portfolio.staging import FIRST

_AT = time(8, 0)


def lines(number: int, seed: int, day: date) -> Iterator[str]:
    """Yield the events' lines, as of eight o'clock of a day."""
    source = Source(figures.load().figures, city.load(), seed)
    zone = ZoneInfo(source.city.zone)
    at = datetime.combine(day, _AT, zone)
    people = portfolio(source, number)
    for customer in people:
        yield _line(events.contacts_changed(customer, at, source.city.zone, source.city.city))
    for customer in people:
        for account in customer.accounts:
            yield _line(events.overdue_reported(customer, account, at, zone))


def _line(event: events.Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the portfolio to standard output."""
    parser = argparse.ArgumentParser(prog="python -m deploy.portfolio", description=__doc__)
    parser.add_argument("customers", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-of", type=date.fromisoformat, default=FIRST, help=f"the day (default: {FIRST})")
    asked = parser.parse_args(arguments)
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a text stream, as the interpreter opens it
    sys.stdout.writelines(lines(asked.customers, asked.seed, asked.as_of))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
