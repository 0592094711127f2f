"""Writes docs/topics.md: `python -m shared.events.catalogue > docs/topics.md`. A test holds the two together."""

from __future__ import annotations

import inspect
import sys

from shared.events.registry import FACT_TYPES, IN_ORDER, TOPICS, FactType

_HEAD = """# Topics and facts

Written by `python -m shared.events.catalogue > docs/topics.md`; do not edit by hand.
The JSON Schema of each fact lies in `shared/events/schemas/`. Each topic has exactly one writer; all have the
same number of partitions and the same key: the customer, or for colleagues' facts the colleague.
"""


def page() -> str:
    """Return docs/topics.md: every topic, its one writer, and every fact on it."""
    parts = [_HEAD]
    for topic in TOPICS:
        kept = "compacted: the newest fact of each key is kept" if topic.compacted else "kept 400 days"
        parts.append(f"\n## `{topic.full_name('arrears')}`\n\nWritten by **{topic.writer}**; {kept}.\n")
        parts.append("\n| fact | key | meaning |\n|---|---|---|\n")
        parts.extend(_row(kind) for kind in FACT_TYPES if kind.topic is topic)
        needs = [(service, topics[topic.name]) for service, topics in IN_ORDER.items() if topic.name in topics]
        parts.extend(f"\nIn {service} the order of a customer's facts matters: {why}.\n" for service, why in needs)
    return "".join(parts)


def _row(kind: FactType) -> str:
    meaning = (inspect.getdoc(kind.model) or "").split("\n\n", 1)[0].replace("\n", " ")
    if kind.erases:
        meaning += " The record has a null value: its key and `ce_time` are the whole of it."
    return f"| `{kind.name}` | {' or '.join(f'`{name}`' for name in kind.key_fields)} | {meaning} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
