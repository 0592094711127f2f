"""`make help` explains every target."""

from __future__ import annotations

import re
import subprocess

from tests.architecture.tree import ROOT

_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (\S+)$", _MAKEFILE, flags=re.MULTILINE)


def test_help_explains_every_target() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\S+) +\S.*$", said, flags=re.MULTILINE) == PHONY


def test_no_file_of_the_same_name_can_hide_a_target() -> None:
    assert re.findall(r"^([a-z-]+):", _MAKEFILE, flags=re.MULTILINE) == PHONY
