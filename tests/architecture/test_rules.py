"""Each house rule holds here, and is seen to fail on a tree that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.tree import ROOT, plant, services

Rule = Callable[[Path], Iterator[str]]

_WHOLE_SERVICE = {
    f"services/scoring/{room}": ""
    for room in (
        "__init__.py",
        "README.md",
        "app.py",
        "settings.py",
        "api.py",
        "handlers.py",
        "store.py",
        "tables.py",
        "domain/__init__.py",
        "migrations/env.py",
    )
}


def _without(room: str) -> dict[str, str]:
    return {name: text for name, text in _WHOLE_SERVICE.items() if not name.endswith(room)}


# What breaks each rule: (rule, one file of a tree, its text). Built from pieces where the text would break it here too.
BROKEN: list[tuple[Rule, str, str]] = [
    (rules.packages_without_init, "shared/bus/streams.py", ""),
    (rules.packages_without_init, "tests/unit/test_x.py", ""),
    (rules.sql_outside_the_store, "services/scoring/api.py", 'q = "SELECT 1\\nFROM account"'),
    (rules.sql_outside_the_store, "services/scoring/api.py", 'q = "select a from account "'),
    (rules.sql_outside_the_store, "services/scoring/timers.py", 'q = f"UPDATE {table} SET x = 1"'),
    (rules.sql_outside_the_store, "services/scoring/handlers.py", 'q = "INSERT INTO account VALUES (1)"'),
    (rules.sql_outside_the_store, "services/scoring/domain/model.py", 'q = "DELETE FROM account"'),
    (rules.sql_outside_the_store, "services/scoring/tables.py", 'q = "SELECT a FROM b FOR UPDATE"'),
    (rules.sql_outside_the_store, "services/scoring/api.py", "from sqlmodel import Field, select"),
    (rules.parts_built_at_import, "services/scoring/app.py", "engine = create_async_engine(url)"),
    (rules.parts_built_at_import, "services/scoring/app.py", "import aiokafka\np = aiokafka.AIOKafkaProducer()"),
    (rules.parts_built_at_import, "services/scoring/app.py", "def create_app(clock=RealClock()): ..."),
    (rules.parts_built_at_import, "services/scoring/app.py", "def create_app(*, clock=RealClock()): ..."),
    (rules.parts_built_at_import, "shared/db/pool.py", "class Pool:\n    engine = create_engine(url)"),
    (rules.parts_built_at_import, "services/scoring/settings.py", "if True:\n    settings = Settings()"),
    (rules.clocks_on_the_wall, "services/scoring/api.py", "import datetime\nnow = datetime.datetime.now(UTC)"),
    (rules.clocks_on_the_wall, "services/scoring/timers.py", "def due():\n    return date.today()"),
    (rules.errors_passed_over, "shared/bus/consumer.py", "try:\n    f()\nexcept Exception:\n    log.exception('x')"),
    (rules.errors_passed_over, "shared/bus/consumer.py", "try:\n    f()\nexcept:\n    pass"),
    (rules.errors_passed_over, "services/ingest/api.py", "try:\n    f()\nexcept (OSError, Exception):\n    x = 1"),
    (
        rules.errors_passed_over,
        "shared/a.py",
        "try:\n    f()\nexcept Exception as e:\n    log(e)\n    if e.args:\n        raise",
    ),
    (rules.errors_passed_over, "shared/a.py", "try:\n    f()\nexcept Exception:  # no" + "qa: BLE001\n    x = 1"),
    (rules.errors_passed_over, "deploy/demo/a.py", "with contextlib.suppress(Exception):\n    f()"),
    (rules.suppressions_without_a_reason, "shared/a.py", "import os  # no" + "qa: F401"),
    (rules.suppressions_without_a_reason, "shared/a.py", "import os  # no" + "qa"),
    (rules.suppressions_without_a_reason, "tests/a.py", "x: int = ''  # type" + ": ignore[assignment]"),
    (rules.suppressions_without_a_reason, "tests/a.py", "x: int = ''  # type" + ": ignore"),
    (rules.long_files, "shared/a.py", "\n" * (rules.MOST_LINES + 1)),
    (rules.rooms_without_a_purpose, "services/scoring/utils.py", ""),
    (rules.rooms_without_a_purpose, "shared/helpers/text.py", ""),
    (rules.traces_of_elsewhere, "docs/a.md", "see /" + "work/shared"),
    (rules.traces_of_elsewhere, "docs/a.md", "in /" + "home/ada/arrears"),
    (rules.traces_of_elsewhere, "Makefile", "x = /" + "tmp/arrears"),
    (rules.traces_of_elsewhere, "requirements.txt", "--index-url https://" + "pypi" + ".org/simple"),
    (rules.traces_of_elsewhere, "docs/bus.md", "as DESI" + "GN.md says"),
    (rules.prints, "services/scoring/api.py", "print('x')"),
    (rules.prints, "tests/unit/test_a.py", "def test_a():\n    print('x')"),
    (rules.impure_domain, "services/scoring/domain/policy.py", "async def grade(): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade(clock): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade(*, now: Clock | None = None): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade():\n    return datetime.now(UTC)"),
    (rules.impure_domain, "shared/rules/paid.py", "def paid():\n    return date.today()"),
    (rules.impure_domain, "shared/rules/paid.py", "async def paid(): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade():\n    return uuid.uuid4()"),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade():\n    return open('pack.yaml')"),
    (rules.impure_domain, "shared/money.py", "def split():\n    return random.random()"),
]

# What looks close to a breach and is none.
KEPT: list[tuple[Rule, str, str]] = [
    (rules.packages_without_init, "services/scoring/migrations/versions/0001_start.py", ""),
    (rules.sql_outside_the_store, "services/scoring/store.py", 'q = "SELECT 1 FROM account"'),
    (rules.sql_outside_the_store, "services/scoring/store/cases.py", 'q = "DELETE FROM account"'),
    (rules.sql_outside_the_store, "services/scoring/migrations/versions/0001_start.py", 'q = "UPDATE a SET b = 1"'),
    (rules.sql_outside_the_store, "services/scoring/api.py", '"""SELECT one FROM many is said here only."""'),
    (rules.sql_outside_the_store, "services/scoring/api.py", 'detail = "Select a day, then update it from the list"'),
    (rules.parts_built_at_import, "services/scoring/app.py", "def create_app():\n    return FastAPI()"),
    (rules.parts_built_at_import, "services/scoring/app.py", "class Settings(BaseSettings): ..."),
    (rules.clocks_on_the_wall, "services/scoring/api.py", "def route(clock):\n    return clock.now()"),
    (rules.errors_passed_over, "shared/a.py", "try:\n    f()\nexcept Exception as e:\n    undo()\n    raise X from e"),
    (rules.errors_passed_over, "shared/a.py", "try:\n    f()\nexcept OSError:\n    x = 1"),
    (
        rules.errors_passed_over,
        "shared/a.py",
        "try:\n    f()\nexcept Exception as e:\n    if not known(e):\n        raise\n    bury(e)",
    ),
    (rules.errors_passed_over, "shared/a.py", "with suppress(Exception):  # the next process does it again\n    f()"),
    (
        rules.errors_passed_over,
        "shared/a.py",
        "try:\n    f()\nexcept Exception as e:  # noqa: BLE001 - becomes a dead letter\n    x = e",
    ),
    (rules.suppressions_without_a_reason, "shared/a.py", "import os  # no" + "qa: F401 - part of the interface"),
    (
        rules.suppressions_without_a_reason,
        "tests/a.py",
        "x: int = ''  # type" + ": ignore[assignment]  # wrong on purpose",
    ),
    (rules.long_files, "shared/a.py", "\n" * rules.MOST_LINES),
    (rules.traces_of_elsewhere, "docs/a.md", "GET /v1/worklist, /metrics, deploy/" + "work/ and #!/usr/bin/env bash"),
    (rules.traces_of_elsewhere, ".venv/lib/a.py", "/" + "home/ada"),
    (rules.prints, "deploy/demo/a.py", "print('x')"),
    (rules.impure_domain, "services/scoring/api.py", "async def route(clock): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def grade(today: date, now: datetime): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def at(day: date, clock: time): ..."),
    (rules.impure_domain, "services/scoring/domain/policy.py", "def pick(node):\n    return node.choice('when')"),
    (rules.impure_domain, "shared/rules/packs.py", "def load(path):\n    return path.open()"),
]

RULES: list[Rule] = list(dict.fromkeys([*(rule for rule, _, _ in BROKEN), rules.missing_rooms]))


@pytest.mark.parametrize(("rule", "name", "text"), BROKEN)
def test_a_tree_that_breaks_the_rule_is_caught(tmp_path: Path, rule: Rule, name: str, text: str) -> None:
    assert list(rule(plant(tmp_path, {name: text})))


@pytest.mark.parametrize(("rule", "name", "text"), KEPT)
def test_a_tree_that_keeps_the_rule_is_left_alone(tmp_path: Path, rule: Rule, name: str, text: str) -> None:
    assert list(rule(plant(tmp_path, {name: text}))) == []


@pytest.mark.parametrize("room", sorted(name.split("/", 2)[2] for name in _WHOLE_SERVICE if "__init__" not in name))
def test_a_service_without_one_of_its_rooms_is_caught(tmp_path: Path, room: str) -> None:
    assert len(list(rules.missing_rooms(plant(tmp_path, _without(room))))) == 1


def test_a_service_with_all_rooms_is_left_alone(tmp_path: Path) -> None:
    assert list(rules.missing_rooms(plant(tmp_path, _WHOLE_SERVICE))) == []


def test_api_as_a_package_is_the_same_room(tmp_path: Path) -> None:
    tree = _without("api.py") | {"services/scoring/api/__init__.py": ""}
    assert list(rules.missing_rooms(plant(tmp_path, tree))) == []


def test_api_in_both_sizes_is_caught(tmp_path: Path) -> None:
    tree = _WHOLE_SERVICE | {"services/scoring/api/__init__.py": ""}
    assert len(list(rules.missing_rooms(plant(tmp_path, tree)))) == 1


def test_ingest_alone_reads_no_topic(tmp_path: Path) -> None:
    tree = {name.replace("scoring", "ingest"): text for name, text in _without("handlers.py").items()}
    assert list(rules.missing_rooms(plant(tmp_path, tree))) == []


@pytest.mark.parametrize("rule", RULES)
def test_this_tree_keeps_the_rule(rule: Rule) -> None:
    violations = list(rule(ROOT))
    assert not violations, "\n".join(violations)


def test_every_rule_has_a_tree_that_breaks_it() -> None:
    public = {
        name
        for name, value in vars(rules).items()
        if callable(value) and value.__module__ == rules.__name__ and not name.startswith("_")
    }
    assert {rule.__name__ for rule in RULES} == public


def test_the_five_services_are_the_services() -> None:
    assert [service.name for service in services(ROOT)] == ["assignment", "fieldvisit", "ingest", "notify", "scoring"]
