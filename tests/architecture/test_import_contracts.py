"""The import contracts of pyproject.toml hold here, and each is seen to break on a tree that breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.tree import ROOT, plant

_RUN = "from importlinter.cli import lint_imports_command as run; run()"
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: dict[str, dict[str, Any]] = {
    contract["id"]: contract for contract in _PROJECT["tool"]["importlinter"]["contracts"]
}

# What a pure room may import among the services' dependencies: values and text, nothing that waits.
PURE_ENOUGH = {"babel", "jinja2", "msgspec", "phonenumbers", "pyyaml", "tzdata"}

_ROOMS = ("api", "app", "domain.model", "handlers", "settings", "store", "tables", "timers")
_SOUND_TREE = {
    **dict.fromkeys(
        [
            *(f"shared/{name}.py" for name in ("clock", "errors", "ids", "money")),
            *(f"shared/{name}/__init__.py" for name in ("bus", "rules", "events", "web")),
            "shared/__init__.py",
            "services/__init__.py",
            *(f"services/{name}/__init__.py" for name in ("scoring", "notify")),
            *(f"services/{name}/domain/__init__.py" for name in ("scoring", "notify")),
            *(f"services/{name}/{room.replace('.', '/')}.py" for name in ("scoring", "notify") for room in _ROOMS),
        ],
        "",
    ),
    "services/scoring/app.py": "import fastapi\nimport shared.web\nimport services.scoring.api\n",
    "services/scoring/api.py": "import services.scoring.store\nimport services.scoring.domain.model\n",
    "services/scoring/store.py": "import sqlalchemy\nimport services.scoring.domain\nimport services.scoring.tables\n",
    "services/scoring/training/__init__.py": "",
    "services/scoring/training/plan.py": "import services.scoring.domain\n",
    "services/scoring/domain/model.py": "import dataclasses\nimport shared.rules\nimport shared.events\n",
    "shared/events/__init__.py": "import msgspec\n",
    "shared/web/__init__.py": "import fastapi\nimport shared.errors\n",
}

# Contract, and the files that break it and no other.
BREACHES: list[tuple[str, dict[str, str]]] = [
    ("services-apart", {"services/scoring/handlers.py": "import services.notify.store\n"}),
    ("services-apart", {"services/scoring/handlers.py": "def f():\n    from services.notify import settings\n"}),
    ("shared-knows-no-service", {"shared/bus/__init__.py": "import services.scoring\n"}),
    ("no-workshop-in-the-product", {"services/scoring/app.py": "import deploy.local\n"}),
    ("no-workshop-in-the-product", {"shared/bus/__init__.py": "from tests.unit import bus\n"}),
    ("training-stays-out", {"services/scoring/app.py": "import services.scoring.training\n"}),
    ("training-stays-out", {"services/scoring/domain/model.py": "from services.scoring.training import plan\n"}),
    ("rules-are-pure", {"services/scoring/domain/model.py": "import pydantic\n"}),
    ("rules-are-pure", {"services/scoring/domain/model.py": "import shared.web\n"}),
    ("rules-are-pure", {"shared/clock.py": "import asyncio\n"}),
    ("rules-are-pure", {"shared/rules/__init__.py": "import shared.ids\n", "shared/ids.py": "import sqlmodel\n"}),
    ("rules-are-pure", {"shared/money.py": "import shared.bus\n", "shared/bus/__init__.py": "import aiokafka\n"}),
    ("domain-calls-nothing-back", {"services/scoring/domain/model.py": "import services.scoring.settings\n"}),
    ("domain-calls-nothing-back", {"services/notify/domain/model.py": "from services.notify import tables\n"}),
    ("store-calls-nothing-back", {"services/notify/store.py": "import services.notify.handlers\n"}),
]


def _lint(tree: Path, *options: str) -> str:
    """Run import-linter over the tree with this project's contracts; gives back what it says.

    In its own process, since a module is looked up once a process and this one knows the real ones.
    """
    command = [sys.executable, "-c", _RUN, "--no-cache", "--config", "pyproject.toml", *options]
    wide = os.environ | {"COLUMNS": "200"}  # else it folds the names of contracts
    return subprocess.run(command, cwd=tree, env=wide, capture_output=True, text=True, check=False).stdout


def _verdicts(said: str) -> dict[str, str]:
    """Verdict by contract id."""
    names = {contract["name"]: key for key, contract in CONTRACTS.items()}
    return {names[name]: verdict for name, verdict in re.findall(r"^(.+?) (KEPT|BROKEN)", said, flags=re.MULTILINE)}


@pytest.fixture
def sound_tree(tmp_path: Path) -> Path:
    """A small tree that keeps every contract, with this project's configuration."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return plant(tmp_path, _SOUND_TREE)


def test_a_sound_tree_keeps_every_contract(sound_tree: Path) -> None:
    assert _verdicts(_lint(sound_tree)) == dict.fromkeys(CONTRACTS, "KEPT")


@pytest.mark.parametrize(("contract", "files"), BREACHES)
def test_a_breach_breaks_its_contract_and_no_other(sound_tree: Path, contract: str, files: dict[str, str]) -> None:
    verdicts = _verdicts(_lint(plant(sound_tree, files)))
    assert verdicts == dict.fromkeys(CONTRACTS, "KEPT") | {contract: "BROKEN"}


def test_every_contract_has_a_tree_that_breaks_it() -> None:
    assert {contract for contract, _ in BREACHES} == set(CONTRACTS)


def test_this_tree_keeps_every_contract() -> None:
    said = _lint(ROOT)
    assert _verdicts(said) == dict.fromkeys(CONTRACTS, "KEPT"), said


def test_each_dependency_is_either_pure_enough_for_a_domain_or_forbidden_to_it() -> None:
    """A new dependency is put on one side before anybody imports it."""
    installed = {re.split(r"[\[<>=!~ ;]", line)[0] for line in _PROJECT["project"]["dependencies"]}
    forbidden = set(CONTRACTS["rules-are-pure"]["forbidden_modules"])
    modules = {name: name.replace("-", "_") for name in installed - PURE_ENOUGH}
    modules |= {name: "opentelemetry" for name in modules if name.startswith("opentelemetry-")}
    assert set(modules.values()) <= forbidden
    assert installed >= PURE_ENOUGH
