"""Which role may call which route is a table to review: a change of a permission shows in docs/roles.md."""

from __future__ import annotations

from pathlib import Path

from tests.docs.roles import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_roles_equals_the_routes() -> None:
    assert (ROOT / "docs/roles.md").read_text(encoding="utf-8") == page()
