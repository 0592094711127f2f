"""Writes the golden JSON Schemas: `python -m shared.events.schemas`.

Whoever changes a fact sees the change in the golden file, and a test holds the two together.
"""

from __future__ import annotations

import json
from pathlib import Path

from shared.events.registry import FACT_TYPES, FactType, json_schema

FOLDER = Path(__file__).parent / "schemas"


def golden_path(kind: FactType) -> Path:
    """Return where the golden schema of `kind` lies."""
    return FOLDER / f"{kind.name}.json"


def rendered(kind: FactType) -> str:
    """Return the schema of `kind` as its golden file holds it."""
    return json.dumps(json_schema(kind), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write_all() -> None:
    """Write every golden schema and remove those whose fact is gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {golden_path(kind): rendered(kind) for kind in FACT_TYPES}
    for stale in set(FOLDER.glob("*.json")) - set(wanted):
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()
