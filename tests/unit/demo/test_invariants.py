"""Each invariant is seen to hold on a sound ending and to fail on one that breaks it, and no other with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.demo.invariants import MESSAGE_CHANNELS, Arrival, Seen, Silence, judge

STOPPED = datetime(2026, 2, 25, 12, tzinfo=UTC)
ACKNOWLEDGED = STOPPED - timedelta(seconds=15)
END = "2026-03-02T15:45:00+00:00"
ANY_TIME = datetime(2026, 2, 25, 11, tzinfo=UTC)


def notice(number: int, **changed: Any) -> Mapping[str, Any]:
    sound = {
        "notice_id": f"n{number}",
        "customer_id": "C1",
        "case_id": "K1",
        "template": "reminder_first",
        "channel": "sms",
        "state": "sent",
        "barrier_at": (ACKNOWLEDGED - timedelta(seconds=1)).isoformat(),
    }
    return sound | changed


def visit(number: int, **changed: Any) -> Mapping[str, Any]:
    return {"visit_id": f"v{number}", "state": "completed", "due_at": "2026-02-28T16:00:00+00:00"} | changed


def report(number: int, **changed: Any) -> Mapping[str, Any]:
    return {"report_id": f"r{number}", "visit_id": f"v{number}", "kind": "completed"} | changed


SOUND = Seen(
    end=datetime.fromisoformat(END),
    gaps={"ingest": 0.0, "notify": 0.0},
    unready={"ingest": [], "notify": []},
    accepted=3,
    notices=(notice(1), notice(2, channel="email"), notice(3, template="reminder_again", state="unconfirmed")),
    staff_notices=({"notice_id": "s1", "purpose": "visit_done"}, {"notice_id": "s2", "purpose": "visit_breached"}),
    arrivals=(
        Arrival("C1", "sms", STOPPED - timedelta(seconds=5)),
        Arrival("C1", "email", STOPPED - timedelta(seconds=5), "n2"),
    ),
    staff_mails=("s1", "s2"),
    silences=(Silence("C1", MESSAGE_CHANNELS, STOPPED, None, "paid in full"),),
    visits=(
        visit(1),
        visit(2, state="planned"),
        visit(3, state="withdrawn"),
        visit(4, state="accepted", due_at="2026-03-03T16:00:00+00:00"),
    ),
    reports=(report(1), report(2, kind="breached")),
    dead_letters={"ingest": 0, "notify": 0},
)


def mails(purpose: str) -> dict[str, Any]:
    """One more report by mail."""
    return {
        "staff_notices": (*SOUND.staff_notices, {"notice_id": "s3", "purpose": purpose}),
        "staff_mails": (*SOUND.staff_mails, "s3"),
    }


def broken(seen: Seen) -> list[str]:
    return [verdict.name for verdict in judge(seen) if not verdict.holds]


def test_all_hold_on_a_sound_ending() -> None:
    assert broken(SOUND) == []


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("sequence gaps", {"gaps": {"ingest": 1.0}}),
        ("sequence gaps", {"unready": {"notify": ["card/3 is stopped: gap"]}}),
        ("events lost", {"missing_effects": ("pay-A1-1",)}),
        ("events lost", {"behind": ("scoring: reading",)}),
        ("effects twice", {"notices": (*SOUND.notices, notice(4))}),
        ("effects twice", {"arrivals": (*SOUND.arrivals, Arrival("C1", "email", ANY_TIME, "n2"))}),
        ("effects twice", {"arrivals": (*SOUND.arrivals, *(Arrival("C1", "sms", ANY_TIME) for _ in range(2)))}),
        ("effects twice", {"reports": (*SOUND.reports, report(1, report_id="r9")), **mails("visit_done")}),
        (
            "effects twice",
            {"reports": (*SOUND.reports, report(2, kind="missed", report_id="r1")), **mails("visit_not_done")},
        ),
        ("effects twice", {"repeated_entries": ("K1: contact/c1",)}),
        (
            "notices after a stop",
            {"notices": (notice(1, barrier_at=(ACKNOWLEDGED + timedelta(seconds=1)).isoformat()), *SOUND.notices[1:])},
        ),
        (
            "notices after a stop",
            {"arrivals": (Arrival("C1", "sms", STOPPED + timedelta(seconds=1)), *SOUND.arrivals[1:])},
        ),
        ("visits neither done nor reported", {"reports": SOUND.reports[:1], "staff_notices": SOUND.staff_notices[:1]}),
        ("visits neither done nor reported", {"reports": SOUND.reports[1:]}),
        ("visits neither done nor reported", {"staff_mails": ("s1",)}),
        ("dead letters", {"dead_letters": {"ingest": 0, "notify": 2}}),
    ],
)
def test_each_is_seen_to_fail_alone(name: str, changed: dict[str, Any]) -> None:
    assert broken(replace(SOUND, **changed)) == [name]


def test_after_a_lift_the_customer_may_be_written_to_again() -> None:
    lifted = STOPPED + timedelta(minutes=1)
    later = lifted + timedelta(minutes=1)
    silence = SOUND.silences[0].until_at(lifted)
    notices = (notice(1, barrier_at=later.isoformat()), *SOUND.notices[1:])
    arrivals = (Arrival("C1", "sms", later), *SOUND.arrivals[1:])
    assert broken(replace(SOUND, silences=(silence,), notices=notices, arrivals=arrivals)) == []
    assert silence.until_at(later) == silence, "the first lift counts"


def test_a_refused_channel_silences_no_other() -> None:
    silence = Silence("C1", frozenset({"sms"}), STOPPED, None, "opt-out of SMS")
    mail = Arrival("C1", "email", STOPPED + timedelta(minutes=1), "n2")
    assert broken(replace(SOUND, silences=(silence,), arrivals=(SOUND.arrivals[0], mail))) == []
    assert not silence.whole
