"""How the house rules see a tree: its files, its Python modules, and what stands at import time in them.

Every rule takes the root of a tree and gives its violations as "path:line: what", so that the same function judges the
project and the little trees that break the rule on purpose.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("services", "shared")
CODE = (*PRODUCT, "deploy", "tests", "benchmarks")
_NOT_OURS = {
    ".git",
    ".venv",
    ".local",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    "__pycache__",
    "build",
    "dist",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a small tree for a rule to judge; gives back its root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def files(root: Path, *folders: str, suffix: str = "") -> Iterator[Path]:
    """Every file under the folders (or the whole tree) that is not a tool's cache, in order of name."""
    for top in [root / folder for folder in folders] or [root]:
        for path in sorted(top.rglob(f"*{suffix}")):
            if path.is_file() and _NOT_OURS.isdisjoint(path.relative_to(root).parts):
                yield path


def modules(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file under the folders with its syntax tree."""
    for path in files(root, *folders, suffix=".py"):
        yield path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def services(root: Path) -> list[Path]:
    """The folders of the services, by name."""
    return sorted(path.parent for path in (root / "services").glob("*/__init__.py"))


def at(root: Path, path: Path, node: ast.AST | int, what: str) -> str:
    """One violation, written as an editor can jump to it."""
    line = node if isinstance(node, int) else getattr(node, "lineno", 0)
    return f"{path.relative_to(root).as_posix()}:{line}: {what}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute; the called name of a call; "" for anything else."""
    match node:
        case ast.Call(func=function):
            return dotted(function)
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}".lstrip(".")
        case ast.Name(id=name):
            return name
        case _:
            return ""


def run_at_import(module: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported: its body, class bodies, decorators and default arguments."""
    waiting: list[ast.AST] = list(module.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif isinstance(node, ast.Lambda):
            waiting += node.args.defaults
        else:
            yield node
            waiting += ast.iter_child_nodes(node)


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and value of every string in the module that is not a docstring; an f-string's holes read as `?`."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
            yield node.lineno, node.value


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "?"
