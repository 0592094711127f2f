"""The house rules that no linter knows, each a function from a tree's root to its violations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import CODE, PRODUCT, at, dotted, files, modules, run_at_import, services, texts

MOST_LINES = 400

_SQL = re.compile(
    r"\bSELECT\b[\s\S]*\bFROM\b|\bINSERT\s+INTO\b|\bUPDATE\s+\S+\s+(AS\s+\w+\s+)?SET\b|\bDELETE\s+FROM\b|\bFOR\s+UPDATE\b"
    r"|^\s*(?:select\s[\s\S]*\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s)"
)
_SQL_BUILDERS = {"select", "insert", "update", "delete"}
_SINGLE_PARTS = {
    "AIOKafkaAdminClient",
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "AsyncClient",
    "FastAPI",
    "FrozenClock",
    "RealClock",
    "Settings",
    "SteppedClock",
    "async_sessionmaker",
    "create_async_engine",
    "create_engine",
    "create_pool",
}
_WALL_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
_CHANCE = {"uuid1", "uuid4", "uuid7", "randint", "token_hex", "token_urlsafe", "urandom"}
_BROAD = {"Exception", "BaseException"}
_SUPPRESSION = re.compile(
    r"#\s*(?:noqa\b(?::\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)?|type:\s*ignore\b(?:\[[a-z, -]+\])?)"
)
_BARE_SUPPRESSION = re.compile(r"#\s*(?:noqa(?!:\s*[A-Z])|type:\s*ignore(?!\[))")

# Letters in brackets keep these lines from finding themselves.
_ELSEWHERE = re.compile(
    r"(?<![\w.])/(?:wor[k]|far[m]|roo[t]|hom[e]|User[s])/\w|(?<![\w.])/tm[p]/[a-z]"
    r"|\b(?:pyp[i]|pythonhoste[d]|npmj[s]|crate[s]|mave[n])\.(?:org|io|com)\b|repo1\.mave[n]|registry\.np[m]|proxy\.golan[g]"
    r"|\b(?:docke[r]|ghc[r]|qua[y]|gc[r])\.io\b"
    r"|\b(?:BU[S]|DESIG[N]|DOMAI[N]|STYL[E]|LIBRARIE[S]|RELIABILIT[Y]|PERFORMANC[E]|ECOSYSTE[M]|SCORIN[G]|BRIE[F])\.md\b"
)
_ROOMS = ("README.md", "app.py", "settings.py", "tables.py", "domain/__init__.py", "migrations")
_ROOMS_OF_TWO_SIZES = ("api", "store")
_NO_ROOM = {"utils", "helpers", "common", "misc", "base", "core", "lib"}


def packages_without_init(root: Path) -> Iterator[str]:
    """Every folder with Python in it says that it is a package; Alembic's revisions alone are loaded by path."""
    for folder in sorted({path.parent for path in files(root, *CODE, suffix=".py")}):
        if folder.parts[-2:] != ("migrations", "versions") and not (folder / "__init__.py").exists():
            yield at(root, folder, 0, "package without __init__.py")


def sql_outside_the_store(root: Path) -> Iterator[str]:
    """All SQL of a service stands in its store.py (or store/); tables and migrations describe, they do not ask."""
    for path, module in modules(root, "services"):
        room = path.relative_to(root / "services").parts[1:]
        if not room or room[0] in {"store.py", "store", "migrations"}:
            continue
        for line, text in texts(module):
            if _SQL.search(text):
                yield at(root, path, line, "SQL outside store.py")
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"sqlalchemy", "sqlmodel"}:
                for name in sorted(_SQL_BUILDERS & {alias.name for alias in node.names}):
                    yield at(root, path, node, f"SQL outside store.py: {name}()")


def parts_built_at_import(root: Path) -> Iterator[str]:
    """Engines, producers, clients, settings and clocks are built by create_app, never when a module is imported."""
    for path, module in modules(root, *PRODUCT):
        for node in run_at_import(module):
            name = dotted(node).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if name in _SINGLE_PARTS:
                yield at(root, path, node, f"{name}() at module level")


def clocks_on_the_wall(root: Path) -> Iterator[str]:
    """A service asks the clock it was given; the machine's time is read in shared only."""
    for path, module in modules(root, "services"):
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ".".join(dotted(node).split(".")[-2:]) in _WALL_CLOCKS:
                yield at(root, path, node, f"{dotted(node)}() instead of the injected clock")


def errors_passed_over(root: Path) -> Iterator[str]:
    """A broad `except` raises, or lets pass what it does not know first of all; one that goes on says why beside it.

    Ruff's BLE001 is content with a handler that logs; this is not.
    """
    for path, module in modules(root, *PRODUCT, "deploy"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(module):
            passes_over = isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises(node)
            if (passes_over or _suppresses_broadly(node)) and not _reason(lines[getattr(node, "lineno", 1) - 1]):
                yield at(root, path, node, "broad except or suppress that goes on")


def _reason(line: str) -> str:
    """What the line's comment says beside the words for tools."""
    return _SUPPRESSION.sub("#", line).rpartition("#")[2].strip(" -–:") if "#" in line else ""


def _is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(element) for element in kind.elts)
    return kind is None or dotted(kind).rpartition(".")[2] in _BROAD


def _suppresses_broadly(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and dotted(node).rpartition(".")[2] == "suppress"
        and any(_is_broad(argument) for argument in node.args)
    )


def _raises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends in a raise, or begins with "if it is not what I know: raise"."""
    first, last = handler.body[0], handler.body[-1]
    return isinstance(last, ast.Raise) or (isinstance(first, ast.If) and isinstance(first.body[-1], ast.Raise))


def suppressions_without_a_reason(root: Path) -> Iterator[str]:
    """Whoever silences a tool says what about and why, on the same line."""
    for path in files(root, *CODE, suffix=".py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if _BARE_SUPPRESSION.search(line) or (_SUPPRESSION.search(line) and not _reason(line)):
                yield at(root, path, number, "suppression without a reason")


def long_files(root: Path) -> Iterator[str]:
    """A file is read in one sitting; a longer one is split by use case."""
    for path in files(root, *CODE, suffix=".py"):
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > MOST_LINES:
            yield at(root, path, length, f"longer than {MOST_LINES} lines")


def missing_rooms(root: Path) -> Iterator[str]:
    """Who knows one service knows them all; a service is judged from the day it says what it is for."""
    for service in services(root):
        if not any((service / room).exists() for room in ("README.md", "app.py")):
            continue
        wanted = [*_ROOMS, *([] if service.name == "ingest" else ["handlers.py"])]
        for room in wanted:
            if not (service / room).exists():
                yield at(root, service / room, 0, "missing room")
        for room in _ROOMS_OF_TWO_SIZES:
            if (service / f"{room}.py").exists() == (service / room).is_dir():
                yield at(root, service / f"{room}.py", 0, f"{room}.py or {room}/, one of the two")


def rooms_without_a_purpose(root: Path) -> Iterator[str]:
    """A module is named for what it does in the field's words, not for being useful."""
    for path in files(root, *PRODUCT, suffix=".py"):
        for name in sorted(_NO_ROOM & {path.stem, *path.relative_to(root).parts[:-1]}):
            yield at(root, path, 0, f"'{name}' says nothing")


def traces_of_elsewhere(root: Path) -> Iterator[str]:
    """No path of one machine, no registry's host and no page of another place stands in the tree."""
    for path in files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _ELSEWHERE.search(line):
                yield at(root, path, number, f"'{found.group()}' belongs elsewhere")


def prints(root: Path) -> Iterator[str]:
    """Services log; only the stack, the demo and the benchmarks talk to a person."""
    for path, module in modules(root, *PRODUCT, "tests"):
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and dotted(node) == "print":
                yield at(root, path, node, "print()")


def impure_domain(root: Path) -> Iterator[str]:
    """A rule is a function of values: no await, no clock to ask, no chance, no file."""
    for path, module in modules(root, "services", "shared"):
        room = path.relative_to(root).parts
        if not ("domain" in room or room[:2] in {("shared", "rules"), ("shared", "money.py")}):
            continue
        for node in ast.walk(module):
            yield from (at(root, path, node, what) for what in _impurities(node, may_read="rules" in room))


def _impurities(node: ast.AST, *, may_read: bool) -> Iterator[str]:
    """What a node does that a pure function does not; the rule packs are files, and shared.rules reads them."""
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        yield "async in a domain"
    if isinstance(node, ast.arg) and _is_clock(node):
        yield f"a domain takes instants, not a clock ({node.arg})"
    if isinstance(node, ast.Call):
        name = dotted(node)
        last = name.rpartition(".")[2]
        chance = last in _CHANCE or name.partition(".")[0] in {"random", "secrets"}
        if chance or ".".join(name.split(".")[-2:]) in _WALL_CLOCKS or (name == "open" and not may_read):
            yield f"{name}() in a domain"


def _is_clock(argument: ast.arg) -> bool:
    if argument.annotation is None:
        return argument.arg == "clock"
    names = {dotted(node) for node in ast.walk(argument.annotation) if isinstance(node, ast.Name | ast.Attribute)}
    return any(name.rpartition(".")[2] in {"Clock", "RealClock", "FrozenClock", "SteppedClock"} for name in names)
