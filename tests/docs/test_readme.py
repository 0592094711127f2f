"""The README's table of services is what the services subscribe to and the registry says they write."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from shared.db.migrate import subscriptions_of
from shared.events.registry import TOPICS

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(
    r"^\| \[(?P<name>\w+)\]\(services/\w+/README\.md\) \| (?P<reads>[^|]*)\| (?P<writes>[^|]*)\|", re.MULTILINE
)


def rows() -> dict[str, tuple[set[str], set[str]]]:
    """Return {service: (topics it consumes, topics it produces)} as the README says."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return {match["name"]: (_words(match["reads"]), _words(match["writes"])) for match in _ROW.finditer(text)}


def _words(cell: str) -> set[str]:
    return {word.strip() for word in cell.split(",") if word.strip()}


def test_the_readme_names_every_service() -> None:
    assert set(rows()) == {topic.writer for topic in TOPICS}


@pytest.mark.parametrize("service", ["ingest", "scoring", "assignment", "fieldvisit", "notify"])
def test_the_readme_says_what_a_service_consumes_and_produces(service: str) -> None:
    assert importlib.util.find_spec(f"services.{service}.app") is not None
    reads = {topic.name for topic in subscriptions_of(f"services.{service}")}
    writes = {topic.name for topic in TOPICS if topic.writer == service}
    assert rows()[service] == (reads, writes)
