"""The registry of facts and its golden schemas."""

from __future__ import annotations

import msgspec
import pytest

from shared.events.registry import BY_MODEL, FACT_TYPES, TOPICS, FactType
from shared.events.schemas import FOLDER, golden_path, rendered


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: kind.name)
def test_schema_equals_its_golden_file(kind: FactType) -> None:
    """A change of a fact shows in its golden file (`python -m shared.events.schemas` writes it)."""
    assert golden_path(kind).read_text(encoding="utf-8") == rendered(kind)


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {golden_path(kind).name for kind in FACT_TYPES}


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: kind.name)
def test_every_fact_has_its_key(kind: FactType) -> None:
    assert set(kind.key_fields) <= {field.name for field in msgspec.structs.fields(kind.model)}


def test_a_model_is_one_fact() -> None:
    assert len(BY_MODEL) == len(FACT_TYPES)


def test_topics_are_folded_with_stops_and_payments_first() -> None:
    assert [topic.name for topic in TOPICS][:2] == ["card", "contacts"]


def test_an_identifier_with_a_trailing_newline_is_refused() -> None:
    """`$` in a pattern would let it through."""
    kind = FACT_TYPES[1]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            b'{"customer_id":"c-1\\n","account_id":"a","as_of":"2026-02-25T00:00:00Z"}', type=kind.model
        )


def test_an_instant_without_an_offset_is_refused() -> None:
    kind = FACT_TYPES[1]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"customer_id":"c-1","account_id":"a","as_of":"2026-02-25T00:00:00"}', type=kind.model)
