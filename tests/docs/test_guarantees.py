"""The page of guarantees names tests, controls, metrics and reasons of readiness that there are."""

from __future__ import annotations

import re

import pytest

from tests.controls.nodes import ROOT, is_there
from tests.controls.table import CONTROLS

PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
PARTS = ("**Not covered:**", "**Proof:**", "**Control:**", "**When threatened:**")


def promises() -> dict[str, str]:
    """Each promise's text by its title."""
    titled = (section.split("\n", 1) for section in PAGE.split("\n## ")[1:])
    return {title: text for title, text in titled if title != "When an answer is lost"}


@pytest.mark.parametrize("node", sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE))))
def test_every_test_that_proves_something_is_there(node: str) -> None:
    assert is_there(node)


@pytest.mark.parametrize(("title", "text"), promises().items())
def test_a_promise_says_what_it_leaves_out_what_proves_it_and_how_its_danger_is_seen(title: str, text: str) -> None:
    assert [part for part in PARTS if f"- {part}" not in text] == [], title
    assert re.search(r"\*\*Proof:\*\*.*`tests/", text), title


def test_every_control_stands_with_a_promise_and_no_other() -> None:
    lines = re.findall(r"- \*\*Control:\*\* without (.*)", PAGE)
    named = {name for line in lines for name in re.findall(r"\*([^*]+)\*", line)}
    assert named == {control.without for control in CONTROLS}


def test_every_metric_and_every_reason_of_readiness_is_one_that_there_is() -> None:
    metrics = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"`(arrears_\w+)`", PAGE) if f"`{name}`" not in metrics] == []
    rooms = [*ROOT.glob("shared/bus/*.py"), *ROOT.glob("services/*/*.py")]
    code = "".join(file.read_text(encoding="utf-8") for file in rooms)
    threats = "".join(re.findall(r"\*\*When threatened:\*\*.*", PAGE))
    reasons = [
        word for part in re.findall(r"[Rr]eadiness ((?:`\w+`(?:, )?)+)", threats) for word in part.split("`")[1::2]
    ]
    assert reasons
    assert [name for name in reasons if f'"{name}"' not in code] == []
