"""The settings of the topics in Kafka."""

from __future__ import annotations

from shared.bus.topics import configs_of, foreign_settings, topic_settings
from shared.events.registry import CONTACTS, TOPICS


def test_a_topic_of_ours_keeps_our_settings_whoever_names_it_as_another_systems() -> None:
    """Contacts without compaction would keep the erased for ever. Seen to fail with the stranger's settings last."""
    name = CONTACTS.full_name("arrears")
    configs = configs_of("arrears", TOPICS, [name, "upstream.card"])
    assert configs[name] == topic_settings(CONTACTS)
    assert configs["upstream.card"] == foreign_settings()
