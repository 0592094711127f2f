"""What must hold at the end of the story, whatever was killed on the way. Pure functions of what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

MESSAGE_CHANNELS = frozenset({"sms", "email"})
_EFFECTIVE_AFTER = timedelta(seconds=15)
"""From a stop's publication to its `effective_at`."""
_LEFT = frozenset({"sent", "unconfirmed"})

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Silence:
    """From `effective_at` on (machine's clock) no message leaves to a customer through these channels.

    `until`: it was lifted then; none: it holds to the end.
    """

    customer_id: str
    channels: frozenset[str]
    effective_at: datetime
    until: datetime | None
    why: str

    @property
    def acknowledged_at(self) -> datetime:
        """When its publication was known: nothing is decided without it from here on."""
        return self.effective_at - _EFFECTIVE_AFTER

    @property
    def whole(self) -> bool:
        """Whether it silences every channel."""
        return self.channels == MESSAGE_CHANNELS

    def until_at(self, instant: datetime) -> Silence:
        """The same, lifted at `instant` unless it was lifted before."""
        return self if self.until is not None else replace(self, until=instant)

    def covers(self, instant: datetime, since: datetime) -> bool:
        """Whether `instant` lies after `since` and before the lifting."""
        return instant > since and (self.until is None or instant < self.until)


@dataclass(frozen=True)
class Arrival:
    """A message as a catcher received it. `notice_id`: of mails, whose header carries it."""

    customer_id: str
    channel: str
    at: datetime
    notice_id: str | None = None


@dataclass(frozen=True)
class Seen:
    """All that was looked at, through HTTP alone.

    `gaps`: service to counted gaps; `unready`: service to its reasons; `missing_effects`: accepted events of which
    nothing is found; `notices`, `visits`, `reports` as the services list them; `arrivals` at the catchers;
    `staff_mails`: notice ids of the reports that the mail catcher got.
    """

    end: datetime
    gaps: Mapping[str, float] = field(default_factory=dict)
    unready: Mapping[str, Sequence[str]] = field(default_factory=dict)
    behind: Sequence[str] = ()
    accepted: int = 0
    missing_effects: Sequence[str] = ()
    notices: Sequence[Row] = ()
    staff_notices: Sequence[Row] = ()
    arrivals: Sequence[Arrival] = ()
    staff_mails: Sequence[str] = ()
    silences: Sequence[Silence] = ()
    visits: Sequence[Row] = ()
    reports: Sequence[Row] = ()
    repeated_entries: Sequence[str] = ()
    dead_letters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One invariant as measured. `of`: what it was measured on, in words; `faults`: what breaks it."""

    name: str
    of: str
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.faults


def judge(seen: Seen) -> list[Verdict]:
    """Measure every invariant."""
    return [check(seen) for check in CHECKS]


def sequence_gaps(seen: Seen) -> Verdict:
    """No number is missing in any stream, and no stream has stopped."""
    faults = [f"{service}: {count:g} gaps" for service, count in seen.gaps.items() if count]
    faults += [f"{service} is not ready: {', '.join(reasons)}" for service, reasons in seen.unready.items() if reasons]
    return Verdict("sequence gaps", f"{len(seen.gaps)} services", tuple(faults))


def events_lost(seen: Seen) -> Verdict:
    """Every accepted event is found in effect, and every reader stands at the head of what it reads."""
    faults = [f"no effect: {event}" for event in seen.missing_effects] + [f"behind: {who}" for who in seen.behind]
    return Verdict("events lost", f"{seen.accepted} accepted events", tuple(faults))


def effects_twice(seen: Seen) -> Verdict:
    """No reminder left twice, no visit is reported done twice, no entry stands twice in a timeline."""
    faults = [*_reminders_twice(seen), *_arrivals_too_many(seen), *_reports_twice(seen)]
    faults += [f"twice in a timeline: {entry}" for entry in seen.repeated_entries]
    left = sum(notice["state"] in _LEFT for notice in seen.notices)
    return Verdict("effects twice", f"{left} messages, {len(seen.reports)} reports", tuple(faults))


def notices_after_a_stop(seen: Seen) -> Verdict:
    """No notice was decided after the stop's acknowledgement, and none arrived after `effective_at`."""
    notices, arrivals = _by_customer(seen)
    faults = [
        f"{notice['notice_id']} to {silence.customer_id} was decided after {silence.why}"
        for silence in seen.silences
        for notice in notices.get(silence.customer_id, ())
        if notice["channel"] in silence.channels
        and notice["state"] in _LEFT
        and notice.get("barrier_at")
        and silence.covers(datetime.fromisoformat(notice["barrier_at"]), silence.acknowledged_at)
    ]
    faults += [
        f"{arrival.channel} to {silence.customer_id} arrived after {silence.why} was effective"
        for silence in seen.silences
        for arrival in arrivals.get(silence.customer_id, ())
        if arrival.channel in silence.channels and silence.covers(arrival.at, silence.effective_at)
    ]
    return Verdict("notices after a stop", f"{len(seen.silences)} stops", tuple(faults))


def visits_forgotten(seen: Seen) -> Verdict:
    """Every visit whose time is over was done, withdrawn or reported as not done, and the assistant has the mail."""
    reported = {report["visit_id"] for report in seen.reports}
    over = [visit for visit in seen.visits if datetime.fromisoformat(visit["due_at"]) <= seen.end]
    faults = [
        f"visit {visit['visit_id']} is {visit['state']} and was never reported"
        for visit in over
        if visit["state"] != "withdrawn" and visit["visit_id"] not in reported
    ]
    faults += [
        f"visit {visit['visit_id']} was done and not reported"
        for visit in seen.visits
        if visit["state"] == "completed" and visit["visit_id"] not in reported
    ]
    mailed = Counter(notice["purpose"] for notice in seen.staff_notices if notice["notice_id"] in set(seen.staff_mails))
    for kind, purpose in (("completed", "visit_done"), ("missed", "visit_not_done"), ("breached", "visit_breached")):
        told = sum(report["kind"] == kind for report in seen.reports)
        if mailed[purpose] < told:
            faults.append(f"{told} visits {kind}, but {mailed[purpose]} mails about them")
    return Verdict("visits neither done nor reported", f"{len(seen.visits)} visits, {len(over)} due", tuple(faults))


def dead_letters(seen: Seen) -> Verdict:
    """No service has put a fact aside."""
    faults = [f"{service}: {count}" for service, count in seen.dead_letters.items() if count]
    return Verdict("dead letters", f"{len(seen.dead_letters)} services", tuple(faults))


def _by_customer(seen: Seen) -> tuple[dict[str, list[Row]], dict[str, list[Arrival]]]:
    """Notices and arrivals by customer: a portfolio has thousands of each, and of stops."""
    notices: dict[str, list[Row]] = {}
    arrivals: dict[str, list[Arrival]] = {}
    for notice in seen.notices:
        notices.setdefault(notice["customer_id"], []).append(notice)
    for arrival in seen.arrivals:
        arrivals.setdefault(arrival.customer_id, []).append(arrival)
    return notices, arrivals


def _reminders_twice(seen: Seen) -> Iterator[str]:
    left = Counter(
        (notice["customer_id"], notice["case_id"], notice["template"], notice["channel"])
        for notice in seen.notices
        if notice["state"] in _LEFT
    )
    return (f"{'/'.join(map(str, key))} left {count} times" for key, count in left.items() if count > 1)


def _arrivals_too_many(seen: Seen) -> Iterator[str]:
    """What a catcher got must not be more than what was sent or may have been sent, and no mail's id comes twice."""
    left = Counter((notice["customer_id"], notice["channel"]) for notice in seen.notices if notice["state"] in _LEFT)
    came = Counter((arrival.customer_id, arrival.channel) for arrival in seen.arrivals)
    for key, count in came.items():
        if count > left[key]:
            yield f"{'/'.join(key)}: {count} arrived, {left[key]} sent or unconfirmed"
    ids = Counter(arrival.notice_id for arrival in seen.arrivals if arrival.notice_id is not None)
    yield from (f"mail {notice} arrived {count} times" for notice, count in ids.items() if count > 1)


def _reports_twice(seen: Seen) -> Iterator[str]:
    done = Counter((report["visit_id"], report["kind"]) for report in seen.reports if report["kind"] != "missed")
    yield from (f"visit {visit} reported {kind} {count} times" for (visit, kind), count in done.items() if count > 1)
    ids = Counter(report["report_id"] for report in seen.reports)
    yield from (f"report {report} stands {count} times" for report, count in ids.items() if count > 1)


CHECKS: tuple[Callable[[Seen], Verdict], ...] = (
    sequence_gaps,
    events_lost,
    effects_twice,
    notices_after_a_stop,
    visits_forgotten,
    dead_letters,
)
"""Every invariant, in the order in which they are shown."""
