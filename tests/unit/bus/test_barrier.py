"""The times of the read barrier fit one another."""

from __future__ import annotations

from shared.bus.barrier import ENDS_SECONDS, LEADER_SECONDS, LEAVE_SECONDS, WINDOW_SECONDS


def test_a_message_is_gone_before_a_stop_is_effective_even_if_a_deposed_broker_named_the_logs_end() -> None:
    """An end is believed so long after another broker leads; only then is it older than its question says (B5)."""
    assert WINDOW_SECONDS >= 15
    assert 0 < LEAVE_SECONDS <= WINDOW_SECONDS - LEADER_SECONDS - ENDS_SECONDS
