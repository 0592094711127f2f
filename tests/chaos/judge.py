"""The five counts: what is lost, twice, out of order per customer, stuck, sent after a stop. Pure.

Nothing here asks anybody: it compares what the workload was promised with what was found in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.chaos import judge_effects, judge_log, judge_rebuilt
from tests.chaos.evidence import Evidence, Finding, Row
from tests.chaos.ledger import Intent

_EFFECTIVE_AFTER = timedelta(seconds=15)
"""From the publication of a stop to its `effective_at`."""
_LEFT = frozenset({"sent", "unconfirmed"})
_BOTH = frozenset({"sms", "email"})


@dataclass(frozen=True)
class Silence:
    """From `since` (machine's clock) until `until` nothing may leave to the customer through these channels."""

    customer_id: str
    channels: frozenset[str]
    since: datetime
    until: datetime | None
    why: str

    def covers(self, instant: datetime, grace: timedelta) -> bool:
        """Whether an instant lies in it, `grace` after its beginning (before it, when negative)."""
        return instant > self.since + grace and (self.until is None or instant < self.until)


def read_to_the_end(evidence: Evidence) -> Iterator[Finding]:
    """Every reader stands at the head of what it reads, and no stream was stopped."""
    heads = {(head.topic, head.partition): head for head in evidence.heads}
    for position in evidence.positions:
        where = f"{position.service} at {position.topic}/{position.partition}"
        if position.state != "running":
            yield Finding("stuck", f"{where} is stopped: {position.reason}")
        head = heads.get((position.topic, position.partition))
        if head is not None and head.head > position.number[1]:
            yield Finding("stuck", f"{where} stands at {position.number}, {head.head} were given")


def at_rest(evidence: Evidence) -> Iterator[Finding]:
    """Nobody has anything left to do, and every call was answered."""
    for service, waiting in evidence.rest.items():
        yield from (Finding("stuck", f"{service}: {what}") for what in waiting)
    yield from (Finding("stuck", f"never answered: {call}") for call in evidence.unanswered)
    yield from (Finding("stuck", complaint) for complaint in evidence.complaints)


def notices_end(evidence: Evidence) -> Iterator[Finding]:
    """No notice is left in a process's hands, and none waits whose hour has come."""
    for row in evidence.notices:
        if row["state"] == "sending":
            yield Finding("stuck", f"notice {row['notice_id']} is still being sent by {row['holder']}")
        if row["state"] in ("due", "waiting") and row["due"] <= evidence.clock:
            yield Finding("stuck", f"notice {row['notice_id']} is {row['state']} since {row['due']}")


def visits_end(evidence: Evidence) -> Iterator[Finding]:
    """Every visit whose time is over was made, withdrawn, or reported as not made."""
    reported = {row["visit_id"] for row in evidence.reports}
    for row in evidence.visits:
        over = row["due_at"] <= evidence.clock and row["state"] not in ("completed", "withdrawn")
        if over and row["visit_id"] not in reported:
            yield Finding("stuck", f"visit {row['visit_id']} is {row['state']} and late, and nobody was told")


def after_a_stop(evidence: Evidence) -> Iterator[Finding]:
    """Nothing was decided after a stop's publication, and nothing arrived after its `effective_at`."""
    mails = [
        (mail["headers"], datetime.fromisoformat(mail["received_at"]), to)
        for mail in evidence.mails
        for to in mail["to"]
    ]
    addresses = {row["address"]: row["customer_id"] for row in evidence.notices if row["customer_id"] is not None}
    came = [(addresses.get(to), "email", at) for _, at, to in mails]
    numbers = {str(address or "").lstrip("+"): customer for address, customer in addresses.items()}
    came += [
        (numbers.get(text["to"].lstrip("+")), "sms", datetime.fromisoformat(text["at"])) for text in evidence.texts
    ]
    network = timedelta(seconds=evidence.network)
    for silence in silences(evidence):
        yield from _decided_after(silence, evidence.notices)
        for customer_id, channel, at in came:
            if customer_id == silence.customer_id and channel in silence.channels and silence.covers(at, network):
                what = f"{channel} to {customer_id} arrived {at - silence.since} after {silence.why} was effective"
                yield Finding("sent after a stop", what)


def _decided_after(silence: Silence, notices: Sequence[Row]) -> Iterator[Finding]:
    for row in notices:
        decided = row["barrier_at"]
        if (
            row["customer_id"] == silence.customer_id
            and row["channel"] in silence.channels
            and row["state"] in _LEFT
            and decided is not None
            and silence.covers(decided, -_EFFECTIVE_AFTER)
        ):
            what = f"notice {row['notice_id']} to {row['customer_id']} was decided after {silence.why} was published"
            yield Finding("sent after a stop", what)


def silences(evidence: Evidence) -> Iterator[Silence]:
    """What was promised: by stops until they are lifted, by refused channels, by payments of everything."""
    events = [intent for intent in evidence.intents if intent.kind == "event"]
    for intent in evidence.taken("event", "opt_out"):
        if intent.effective_at is None:
            continue
        if intent.kind == "opt_out":
            yield Silence(intent.customer_id, frozenset({"sms"}), intent.effective_at, None, "an opt-out of SMS")
        elif "set_at" in intent.detail["data"]:
            until = _lifted(intent, events)
            why = f"the stop {intent.key}"
            if until is None or until > intent.effective_at:
                yield Silence(intent.customer_id, _BOTH, intent.effective_at, until, why)
    yield from _paid_in_full(evidence)


def _lifted(stop: Intent, events: Sequence[Intent]) -> datetime | None:
    """When somebody first began to lift the stop; a lift dated before the stop was set lifts nothing."""
    data = stop.detail["data"]
    lifts = [
        event.begun
        for event in events
        if event.customer_id == stop.customer_id
        and event.detail["data"].get("kind") == data["kind"]
        and "lifted_at" in event.detail["data"]
        and datetime.fromisoformat(event.detail["data"]["lifted_at"]) > datetime.fromisoformat(data["set_at"])
    ]
    return min(lifts, default=None)


def _paid_in_full(evidence: Evidence) -> Iterator[Silence]:
    for customer_id in evidence.settling:
        reported = {
            intent.detail["data"]["account_id"]
            for intent in evidence.intents
            if intent.customer_id == customer_id and "amount_past_due" in intent.detail.get("data", {})
        }
        paid = {
            intent.detail["data"]["account_id"]: intent.effective_at
            for intent in evidence.taken("event")
            if intent.customer_id == customer_id and intent.detail.get("settles") and intent.effective_at is not None
        }
        if reported and reported <= paid.keys():
            yield Silence(customer_id, _BOTH, max(paid.values()), None, "everything was paid")


CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    judge_log.numbers,
    judge_log.events_once,
    judge_log.taken_in_order,
    judge_log.read_in_order,
    judge_effects.payments_everywhere,
    judge_effects.snapshots_graded,
    judge_effects.contacts_once,
    judge_effects.hand_overs_once,
    judge_effects.visits_once,
    judge_effects.gradings_told,
    judge_effects.reminders_once,
    judge_effects.arrivals,
    judge_rebuilt.rebuilt_the_same,
    read_to_the_end,
    at_rest,
    notices_end,
    visits_end,
    after_a_stop,
)
"""Every judgement, each seen to find what it looks for."""


def judge(evidence: Evidence) -> list[Finding]:
    """Every fault that was found."""
    return [finding for check in CHECKS for finding in check(evidence)]
