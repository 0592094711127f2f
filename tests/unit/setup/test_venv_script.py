"""deploy/venv.sh makes the environment once, again when the lock changes, and says in one line what is missing.

The interpreters are small scripts that stand in for Python and pip; not covered: what pip itself does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

_TOOLS = ("sh", "cat", "dirname", "grep", "ln", "mkdir", "rm")
_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit {no_venv} ;;
    --version) echo "Python {version}" ;;
    "-m venv"*) mkdir -p .venv/bin; ln -s "$0" .venv/bin/python; echo "$0" >>made ;;
    "-m pip install"*) echo "$*" >>installed; exit {pip_fails} ;;
    "-m pip"*) ;;
    *) exec "{real}" "$@" ;;
esac
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def _python(path: Path, *, version: str = "3.11.7", too_old: int = 0, no_venv: int = 0, pip_fails: int = 0) -> None:
    """Put an interpreter of that behaviour at the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = _PYTHON.format(version=version, too_old=too_old, no_venv=no_venv, pip_fails=pip_fails, real=sys.executable)
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the script and a lock, in a path with a space."""
    tree = tmp_path / "a tree"
    (tree / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "venv.sh", tree / "deploy")
    (tree / "requirements-dev.txt").write_text("one==1\ntwo==2\n", encoding="utf-8")
    return tree


@pytest.fixture
def run(tree: Path, tmp_path: Path) -> Run:
    """Runs the script with nothing on PATH but a few tools and the folders given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in _TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)

    def run(*folders: Path, python: str = "") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(str(folder) for folder in (*folders, tools))
        command = ["sh", str(tree / "deploy" / "venv.sh")]
        return subprocess.run(
            command, env={"PATH": path, "PYTHON": python}, capture_output=True, text=True, check=False
        )

    return run


def _said(tree: Path, name: str) -> list[str]:
    path = tree / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_the_environment_is_made_once_from_the_lock_with_hashes(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11")
    assert run(tmp_path / "bin").returncode == 0
    again = run(tmp_path / "bin")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(_said(tree, "made")) == 1
    [install] = _said(tree, "installed")
    assert "--require-hashes" in install
    assert install.endswith("-r requirements-dev.txt")


def test_a_changed_lock_is_installed_into_the_same_environment(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11")
    run(tmp_path / "bin")
    (tree / "requirements-dev.txt").write_text("one==1\ntwo==3\n", encoding="utf-8")
    assert run(tmp_path / "bin").returncode == 0
    assert (len(_said(tree, "made")), len(_said(tree, "installed"))) == (1, 2)


def test_an_install_that_failed_is_tried_again(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11", pip_fails=1)
    failed = run(tmp_path / "bin")
    assert failed.returncode == 1
    assert "package index" in failed.stderr
    _python(tmp_path / "bin" / "python3.11")
    assert run(tmp_path / "bin").returncode == 0
    assert len(_said(tree, "installed")) == 2


def test_a_python_that_is_too_old_is_named_with_the_remedy_in_one_line(tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3", version="3.9.2", too_old=1)
    done = run(tmp_path / "bin")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("arrears: Python 3.11 or newer is needed (found: Python 3.9.2)")


def test_a_machine_without_python_is_told_so_in_one_line(run: Run) -> None:
    done = run()
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "Python 3.11 or newer is needed (found: none)" in line


def test_a_python_without_venv_is_named_with_the_remedy_in_one_line(tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11", no_venv=1)
    done = run(tmp_path / "bin")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "no venv module" in line
    assert "python3-venv" in line


def test_a_shim_that_refuses_does_not_hide_the_python_behind_it(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "shims" / "python3.11", too_old=1)
    _python(tmp_path / "bin of the system" / "python3.11")
    assert run(tmp_path / "shims", tmp_path / "bin of the system").returncode == 0
    assert _said(tree, "made") == [str(tmp_path / "bin of the system" / "python3.11")]


def test_the_interpreter_can_be_chosen(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11")
    _python(tmp_path / "mine" / "python")
    assert run(tmp_path / "bin", python=str(tmp_path / "mine" / "python")).returncode == 0
    assert _said(tree, "made") == [str(tmp_path / "mine" / "python")]


def test_a_chosen_interpreter_that_is_too_old_is_refused(tree: Path, tmp_path: Path, run: Run) -> None:
    _python(tmp_path / "bin" / "python3.11")
    _python(tmp_path / "mine" / "python", version="3.10.1", too_old=1)
    refused = run(tmp_path / "bin", python=str(tmp_path / "mine" / "python"))
    assert refused.returncode == 1
    assert "3.10.1" in refused.stderr
    assert _said(tree, "made") == []
