"""docs/retention.md names every table that there is, and no other: who adds one says what bounds it."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.apps import SERVICES
from tests.architecture.tree import ROOT


def tables_under(heading: str) -> set[str]:
    """Return the tables that the rows of a part of the page name."""
    page = (ROOT / "docs" / "retention.md").read_text(encoding="utf-8")
    part = re.split(r"^## ", page, flags=re.MULTILINE)
    (found,) = (each for each in part if each.startswith(heading))
    rows = re.findall(r"^\| (`.+?) \|", found, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize("service", SERVICES)
def test_every_table_of_a_service_has_its_bound(service: str) -> None:
    there = set(importlib.import_module(f"services.{service}.tables").metadata.tables)
    assert there - tables_under("Of every service") == tables_under(service)
