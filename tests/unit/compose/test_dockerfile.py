"""The Dockerfile: linted, and made of what is really there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.unit.compose.reading import DOCKERFILE, ROOT, services

TEXT = DOCKERFILE.read_text(encoding="utf-8")


def test_the_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_frontend_is_fetched_for_it() -> None:
    assert "syntax=" not in TEXT


def test_every_base_is_one_full_version() -> None:
    bases = set(re.findall(r"^FROM (\S+:\S+)", TEXT, re.MULTILINE))
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases.pop())


def test_its_targets_are_those_that_compose_builds_and_none_runs_as_root() -> None:
    targets = re.findall(r"^FROM base AS (\S+)(.*?)(?=^FROM|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in targets} == {s["build"]["target"] for s in services().values() if "build" in s}
    assert all("USER 10001:10001" in body for _, body in targets)


def test_what_it_copies_reaches_the_build() -> None:
    """.dockerignore leaves everything out but what it names."""
    wanted = set(re.findall(r"^COPY (?!--from)(\S+) ", TEXT, re.MULTILINE))
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert wanted == {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in wanted)


def test_libraries_are_installed_by_hash_from_the_lock() -> None:
    installs = re.findall(r"pip install ([^\n]*)", TEXT)
    assert len(installs) == 2
    assert all("--require-hashes" in line and "--only-binary :all:" in line for line in installs)


def test_the_sms_centres_one_library_is_cut_out_of_the_lock_with_its_hashes() -> None:
    (script,) = re.findall(r"sed -n '([^']+)' requirements-dev\.txt", TEXT)
    lock = ROOT / "requirements-dev.txt"
    cut = subprocess.run(["sed", "-n", script, str(lock)], capture_output=True, text=True, check=True).stdout
    first, *hashes = cut.splitlines()
    assert re.fullmatch(r"smpp34==[\d.]+ \\", first)
    assert hashes
    assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)


def test_the_sms_centre_needs_no_other_library_than_its_image_has() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)) | {"smpp34"}
    assert imported("deploy.local.sms") - set(sys.stdlib_module_names) <= there


def imported(module: str) -> set[str]:
    """The libraries that a module of ours imports, itself and through others of ours."""
    found: set[str] = set()
    waiting, known = [module], {module}
    while waiting:
        tree = ast.parse((ROOT / f"{waiting.pop().replace('.', '/')}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                if name.startswith("deploy.") and name not in known:
                    known.add(name)
                    waiting.append(name)
                elif not name.startswith("deploy."):
                    found.add(name.partition(".")[0])
    return found
