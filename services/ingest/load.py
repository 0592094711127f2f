"""Loads a portfolio: `python -m services.ingest.load FILE --mapping template|uci|FILE.yaml --service URL`.

FILE is CSV (UTF-8 or GB18030) or XLSX. Rows go to intake's own route with the sender's own token (`ARREARS_TOKEN`, role
upstream), so a row has the same effect as the event that a card system would send. A row is named after what it is: a
file loaded twice, shuffled or in parts takes effect once. Refused rows are written beside the file with what is wrong;
mend them and load that file. Ends with 0 when every row was taken, 1 when some were refused, 2 when it cannot go on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from services.ingest.answers import MAX_EVENTS
from services.ingest.loading import mapping as mappings
from services.ingest.loading import uci
from services.ingest.loading.mapping import PACKAGED, Told
from services.ingest.loading.rejects import Rejects, faults_of
from services.ingest.loading.rows import Row, count_rows, read_rows
from services.ingest.loading.sending import Refused, send
from shared.rules.loading import DataFileError

_TIMEOUT_SECONDS = 60.0

Tell = Callable[[Row], Told]
Say = Callable[[str], object]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; ends the program with 2 and the usage when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m services.ingest.load", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--service", required=True, metavar="URL", help="where intake listens")
    parser.add_argument("--mapping", default="template", help="template, uci, or the path of your own YAML file")
    parser.add_argument("--as-of", type=date.fromisoformat, help="with uci: the day whose beginning the file describes")
    parser.add_argument("--rejects", type=Path, help="where refused rows go (default: beside the file)")
    asked = parser.parse_args(given)
    if asked.mapping == "uci" and asked.as_of is None:
        parser.error("the uci file has no date of its own: give one with --as-of 2026-02-25")
    return asked


def telling(asked: argparse.Namespace) -> tuple[Tell, Mapping[str, str]]:
    """Return how a row is told, and which column each field comes from.

    Raises:
        DataFileError: the mapping cannot be used.
    """
    if asked.mapping == "uci":
        return partial(uci.tell, as_of=asked.as_of), {}
    packaged = PACKAGED / f"{asked.mapping}.yaml"
    mapping = mappings.load(packaged if packaged.exists() else Path(asked.mapping))
    columns = {name: source.column for name, source in mapping.fields.items() if source.column is not None}
    return partial(mappings.tell, mapping), columns


@dataclass
class Force:
    """From when what the rows forbid is in force (B4): of stops, cures, payments, contacts and erasures alone."""

    since: str = ""
    waiting: int = 0

    def note(self, item: Mapping[str, Any]) -> None:
        """Take an item of intake's answer into account."""
        self.since = max(self.since, item.get("effective_at", ""))
        self.waiting += item.get("state") == "recorded"

    def words(self) -> str:
        """Return what there is to say; nothing for rows that forbid nothing."""
        said = f"in force from {self.since} at the latest\n" if self.since else ""
        if self.waiting:
            said += f"{self.waiting:,} rows are recorded and not in force yet: load the file again to learn from when\n"
        return said


async def load(asked: argparse.Namespace, http: httpx.AsyncClient, say: Say) -> int:
    """Load the file and say what became of it; returns the program's exit code."""
    tell, columns = telling(asked)
    counts: Counter[str] = Counter()
    force, total, began = Force(), count_rows(asked.file), time.monotonic()
    path = asked.rejects or asked.file.with_suffix(".rejected.csv")
    with Rejects(path) as rejects:
        for batch in _batches(map(tell, read_rows(asked.file))):
            counts["nothing to tell"] += sum(told.event is None and not told.faults for told in batch)
            for told in batch:
                if told.faults:
                    rejects.keep(told.row, told.faults)
            sent = [told for told in batch if told.event is not None]
            items = await send(http, [told.event for told in sent if told.event is not None]) if sent else []
            for told, item in zip(sent, items, strict=True):
                if item["outcome"] in ("accepted", "replayed"):
                    counts[item["outcome"]] += 1
                    force.note(item)
                else:
                    rejects.keep(told.row, faults_of(item, columns))
            counts["rows"] += len(batch)
            say("\r" + progress(counts, rejects.count, total, time.monotonic() - began))
        say("\n" if counts["rows"] else "the file has no rows\n")
        say(force.words())
        if rejects.count:
            say(f"refused rows: {rejects.path}; mend them there and load that file\n")
        return 1 if rejects.count else 0


def _batches(rows: Iterator[Told]) -> Iterator[list[Told]]:
    """Yield rows in groups of which no more events come than a batch may hold."""
    batch: list[Told] = []
    for told in rows:
        batch.append(told)
        if len(batch) == MAX_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch


def progress(counts: Mapping[str, int], refused: int, total: int, seconds: float) -> str:
    """Return how far a load of `total` rows is after so many seconds, in one line."""
    done = counts["rows"]
    known = {name: counts.get(name, 0) for name in ("accepted", "replayed", "nothing to tell")} | {"refused": refused}
    said = "   ".join(f"{count:,} {name}" for name, count in known.items())
    return f"{done:>9,} of {total:,} rows {done * 100 // total:>3} %   {done / max(seconds, 0.001):,.0f}/s   {said}"


async def main() -> int:
    """Load what the command line names."""
    asked = arguments()
    token = os.environ.get("ARREARS_TOKEN")
    if not token:
        sys.stderr.write("ARREARS_TOKEN is not set: give a token with the role upstream\n")
        return 2
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=asked.service, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
            return await load(asked, http, sys.stderr.write)
    except (DataFileError, Refused, OSError) as error:
        sys.stderr.write(f"\n{error}\nWhat was taken stays taken: load the same file again.\n")
        return 2


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
