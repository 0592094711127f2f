import hashlib
from pathlib import Path

import pytest

from benchmarks.plain_java import JARS
from deploy.local.java import KAFKA, KAFKA_VERSION, Jars, check_jars, pinned_jars

_PINNED = {"one.jar": hashlib.sha256(b"one").hexdigest(), "two.jar": hashlib.sha256(b"two").hexdigest()}


def _fill(folder: Path, **jars: bytes) -> Path:
    for name, content in jars.items():
        (folder / f"{name}.jar").write_bytes(content)
    return folder


def test_pinned_jars_pass(tmp_path: Path) -> None:
    check_jars(_fill(tmp_path, one=b"one", two=b"two"), _PINNED)


@pytest.mark.parametrize(
    "jars", [{"one": b"one"}, {"one": b"one", "two": b"cut o"}, {"one": b"one", "two": b"two", "three": b"three"}]
)
def test_missing_altered_or_added_jar_is_found(tmp_path: Path, jars: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="not the pinned jars: t"):
        check_jars(_fill(tmp_path, **jars), _PINNED)


@pytest.mark.parametrize(("jars", "one"), [(KAFKA, f"kafka_2.13-{KAFKA_VERSION}.jar"), (JARS, "ecj-3.46.100.jar")])
def test_every_jar_is_pinned_by_a_digest(jars: Jars, one: str) -> None:
    text = jars.pins.read_text(encoding="utf-8")
    pinned = pinned_jars(text)
    assert one in pinned
    assert all(len(digest) == 64 for digest in pinned.values())
    assert len(pinned) == text.count("\n") - 1
