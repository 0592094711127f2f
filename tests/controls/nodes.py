"""Whether a test that somebody names is there."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_there(node_id: str) -> bool:
    """Tell whether `path::name`, or a folder or file of tests, exists; parameters in brackets are not looked at."""
    path, _, name = node_id.partition("[")[0].partition("::")
    found = ROOT / path
    if not name:
        return found.exists()
    return found.is_file() and name in _tests_in(found)


def _tests_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
