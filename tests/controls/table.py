"""Which guarantee is taken away, how, which test must then fail, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from tests.controls import switches
from tests.controls.switches import Switch

_BUS: Final = "tests/integration/bus"
_MODEL: Final = "tests/model/test_bus_model.py::test_whatever_befalls_a_stream_each_fact_takes_effect_once_and_in_order"
_NOTIFY: Final = "tests/integration/notify/test_at_most_once.py"


@dataclass(frozen=True)
class Control:
    """Without `without`, which `switch` takes away, `test` (a node id) `fails` with a text that matches `says`.

    `patience`: seconds after which a test that waits in vain may give up, where that is how it fails.
    """

    without: str
    switch: Switch
    test: str
    fails: type[BaseException] = AssertionError
    says: str = ""
    patience: float | None = None


CONTROLS: Final = (
    Control(
        "a position that moves from its old value only",
        switches.fence,
        f"{_BUS}/test_reading.py::test_a_zombie_whose_partition_moved_cannot_commit_and_its_effect_is_rolled_back",
        pytest.fail.Exception,
        "DID NOT RAISE.*NotOwner",
    ),
    Control(
        "the position moved first",
        switches.fence_first,
        f"{_BUS}/test_reading.py::test_a_zombie_learns_that_it_is_one_before_its_handler_has_done_any_work",
        says=r"assert \[1.*\] == \[\]",
    ),
    Control(
        "one transaction for position and effect",
        switches.one_transaction,
        f"{_BUS}/test_handlers.py"
        "::test_a_bug_on_one_fact_of_a_batch_makes_one_dead_letter_and_the_rest_take_effect_once",
        says="p-1",
    ),
    Control(
        "the stream's lock held to the commit",
        switches.stream_lock,
        f"{_BUS}/test_writers.py::test_what_two_racing_writers_commit_is_what_is_published_in_number_order",
        TimeoutError,
        patience=5,
    ),
    *(
        Control(without, switch, _MODEL, says=says)
        for without, switch, says in (
            ("number n leaving only after n-1", switches.prefix, "nothing was lost: gap|outbox hole"),
            ("duplicates known by their number", switches.duplicates, "twice"),
            ("a gap that stops", switches.gaps, "passed over"),
            ("the ends of earlier epochs in a position", switches.earlier_epochs, "lost|nothing was lost: gap"),
        )
    ),
    Control(
        "the guard of versions",
        switches.version_guard,
        f"{_BUS}/test_writers.py::test_two_writers_who_meet_a_new_customer_lose_no_update",
    ),
    Control(
        "published that only grows",
        switches.monotone_published,
        f"{_BUS}/test_publisher.py::test_what_is_known_to_be_published_only_grows_and_only_in_the_streams_epoch",
        says=r", 1, 2\)",
    ),
    Control(
        "published that is written in its own epoch only",
        switches.published_in_its_epoch,
        f"{_BUS}/test_publisher.py::test_what_is_known_to_be_published_only_grows_and_only_in_the_streams_epoch",
        says=r", 3, 1\)",
    ),
    Control(
        "the look of an idle reader at its rows",
        switches.idle_reload,
        f"{_BUS}/test_reading.py::test_an_idle_reader_whose_row_went_back_reads_again_what_is_missing",
        TimeoutError,
        patience=4,
    ),
    Control(
        "the barrier before sending",
        switches.barrier,
        f"{_NOTIFY}::test_behind_a_stop_that_is_published_and_not_read_yet_nothing_leaves",
        says="assert 1 == 0",
    ),
    Control(
        "the decision at the moment of sending",
        switches.decided_again,
        f"{_NOTIFY}::test_a_stop_that_was_read_after_a_reminder_fell_due_ends_it",
        says="suppressed",
    ),
    Control(
        "the customer's lock while it is decided",
        switches.decided_under_lock,
        f"{_NOTIFY}::test_a_customer_who_is_just_being_changed_is_passed_over_and_decided_afterwards",
        says="assert 1 == 0",
    ),
    *(
        Control(
            f"sending written before the {channel} leaves",
            switches.in_hand_first,
            f"{_NOTIFY}::test_killed_while_handing_over_is_unconfirmed_after_the_restart_and_not_sent_again"
            f"[{dies}-{channel}]",
            says="sending",
        )
        for channel in ("sms", "email")
        for dies in ("DiesBeforeHandOver", "DiesBeforeWrite")
    ),
    Control(
        "an unconfirmed notice that is left alone",
        switches.lost_answers,
        "tests/integration/notify/test_lost_answers.py"
        "::test_a_message_whose_answer_was_lost_on_the_way_is_unconfirmed_and_never_sent_again[sms]",
        says="unconfirmed",
    ),
    Control(
        "the key of a command",
        switches.keys_of_commands,
        "tests/integration/ambiguity/test_assignment.py"
        "::test_a_command_whose_commit_was_not_answered_is_found_by_its_key_and_not_done_twice[waiver]",
        says=r"500 in \(200, 201\)",
    ),
)
