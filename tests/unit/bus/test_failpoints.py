from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.bus.failpoints import NAMES, arm, parse, reach
from shared.settings import ServiceSettings
from tests.unit.shared.samples import SURROUNDINGS

ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = """
from shared.bus.failpoints import arm, reach
arm("appended:2")
for name in ("begun", "appended", "taken", "appended", "appended"):
    print(name, flush=True)
    reach(name)
"""


def test_the_process_kills_itself_at_the_passing_that_was_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["begun", "appended", "taken", "appended"]
    assert done.stderr == "failpoint appended: this process kills itself\n"


def test_a_point_that_is_not_armed_is_passed() -> None:
    arm(None)
    for name in NAMES:
        reach(name)


@pytest.mark.parametrize("setting", ["nowhere", "appended:0", "appended:-1", "appended:x", "", ":1"])
def test_what_is_no_point_is_refused_with_the_names_that_there_are(setting: str) -> None:
    with pytest.raises(ValueError, match="the names are received, begun"):
        parse(setting)


@pytest.mark.parametrize("name", NAMES)
def test_every_point_can_be_named(name: str) -> None:
    assert (parse(name), parse(f"{name}:3")) == ((name, 1), (name, 3))


def test_a_failpoint_is_refused_in_production_and_taken_in_development() -> None:
    with pytest.raises(ValidationError, match="ARREARS_FAILPOINT is for development only"):
        ServiceSettings.model_validate({**SURROUNDINGS, "failpoint": "taken"})
    with pytest.raises(ValidationError, match="the names are"):
        ServiceSettings.model_validate({**SURROUNDINGS, "env": "development", "failpoint": "nowhere"})
    settings = ServiceSettings.model_validate({**SURROUNDINGS, "env": "development", "failpoint": "taken:2"})
    assert settings.failpoint == "taken:2"


def test_every_point_is_passed_at_one_place_in_the_bus() -> None:
    passed = Counter(
        node.args[0].value
        for path in (ROOT / "shared" / "bus").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reach"
        and isinstance(node.args[0], ast.Constant)
    )
    assert passed == Counter(NAMES)
