"""docs/topics.md is what the registry says."""

from __future__ import annotations

from pathlib import Path

from shared.events.catalogue import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_topics_equals_the_registry() -> None:
    assert (ROOT / "docs/topics.md").read_text(encoding="utf-8") == page()
