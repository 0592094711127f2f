"""What the services did: each thing that was asked for and taken is done once, in every place where it belongs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tests.chaos.evidence import Evidence, Finding, Row
from tests.chaos.ledger import Intent

_LEDGERS = ("scoring", "assignment", "fieldvisit", "notify")
_ENDS = {"sent": "sent", "failed": "failed", "suppressed": "suppressed", "unconfirmed": "unconfirmed"}
_TOLD = {"completed": "visit_done", "missed": "visit_not_done", "breached": "visit_breached"}


def payments_everywhere(evidence: Evidence) -> Iterator[Finding]:
    """A payment or reversal that was taken stands in the ledger of every service that keeps one."""
    for intent in evidence.taken("event"):
        if str(intent.detail["type"]).startswith("arrears.payment."):
            payment_id = str(intent.detail["data"]["payment_id"])
            for service in _LEDGERS:
                if f'"{payment_id}"' not in evidence.states.get(service, {}).get(intent.customer_id, ""):
                    yield Finding("lost", f"{service} does not know {intent.key} of {intent.customer_id}")


def snapshots_graded(evidence: Evidence) -> Iterator[Finding]:
    """Every account that was reported overdue has a grade."""
    graded = {row["account_id"] for row in evidence.gradings}
    for intent in evidence.taken("event"):
        data = intent.detail["data"]
        if "amount_past_due" in data and data["account_id"] not in graded:
            yield Finding("lost", f"account {data['account_id']} was reported and never graded")


def contacts_once(evidence: Evidence) -> Iterator[Finding]:
    """Each contact that was logged is one row, and one fact tells it."""
    rows = {row["note"]: row["contact_id"] for row in evidence.contacts}
    yield from _marks("contact", _of(evidence, "contact"), Counter(row["note"] for row in evidence.contacts))
    yield from _told_once("contact", rows.values(), _ids(evidence, "contact.logged", "contact_id"))


def hand_overs_once(evidence: Evidence) -> Iterator[Finding]:
    """Each hand-over is one line of a list, one fact, and one visit that was accepted."""
    marks = Counter(row["reason"] for row in evidence.hand_overs)
    yield from _marks("hand-over", _of(evidence, "hand_over"), marks)
    wanted = [row["hand_over_id"] for row in evidence.hand_overs]
    yield from _told_once("hand-over", wanted, _ids(evidence, "case.handed_over", "hand_over_id"))
    yield from _told_once("visit of hand-over", wanted, Counter(row["hand_over_id"] for row in evidence.visits))
    yield from _told_once("acceptance of hand-over", wanted, _ids(evidence, "visit.accepted", "hand_over_id"))


def visits_once(evidence: Evidence) -> Iterator[Finding]:
    """What a collector reported is noted once and told once, and each assistant has one report of each happening."""
    intents = _of(evidence, "complete", "fail")
    yield from _marks("visit", intents, Counter(row["text"] for row in evidence.visit_notes))
    ids = [row["report_id"] for row in evidence.reports]
    told = Counter(record.id for record in evidence.of("visit.completed", "visit.missed", "visit.breached"))
    yield from _told_once("report", ids, told)
    done = Counter((row["visit_id"], row["kind"]) for row in evidence.reports if row["kind"] != "missed")
    yield from _more_than_once("visit", {f"{visit} {kind}": count for (visit, kind), count in done.items()})
    notices = Counter(row["purpose"] for row in evidence.notices if row["staff_id"] is not None)
    for kind, purpose in _TOLD.items():
        reports = sum(row["kind"] == kind for row in evidence.reports) * evidence.assistants
        if notices[purpose] < reports:
            yield Finding("lost", f"{reports} reports of visits {kind}, and {notices[purpose]} notices about them")
        if notices[purpose] > reports:
            yield Finding("twice", f"{reports} reports of visits {kind}, and {notices[purpose]} notices about them")


def gradings_told(evidence: Evidence) -> Iterator[Finding]:
    """Each grading is one fact."""
    rows = [f"{row['account_id']} {row['version']}" for row in evidence.gradings]
    facts = Counter(f"{record.data['account_id']} {record.data['version']}" for record in evidence.of("account.graded"))
    yield from _told_once("grading", rows, facts)
    yield from _more_than_once("grading", Counter(rows))


def reminders_once(evidence: Evidence) -> Iterator[Finding]:
    """Each reminder that is due becomes one notice, and each end of a notice to a customer is told once."""
    due = [f"reminder:{record.data['reminder_id']}" for record in evidence.of("reminder.due")]
    keys = Counter(row["natural_key"] for row in evidence.notices)
    yield from _told_once("notice of", set(due), keys)
    for state in _ENDS:
        ended = [row["notice_id"] for row in evidence.notices if row["state"] == state]
        told = _ids(evidence, f"notice.{state}", "notice_id")
        yield from _told_once(f"notice {state}", ended, told)
        yield from (Finding("twice", f"notice {each} is told as {state} and is not") for each in told - Counter(ended))


def arrivals(evidence: Evidence) -> Iterator[Finding]:
    """What counts as sent has arrived; nothing arrived at a customer more often than it was sent or may have been."""
    mails = Counter(_header(mail, "x-notice-id") for mail in evidence.mails)
    parts = {part for text in evidence.texts for part in text["message_ids"]}
    left: Counter[str] = Counter()
    for row in evidence.notices:
        if row["channel"] == "sms":
            left[_number(row["address"])] += row["state"] in ("sent", "unconfirmed")
            if row["state"] == "sent" and not set(str(row["provider_ref"]).split(",")) <= parts:
                yield Finding("lost", f"notice {row['notice_id']} counts as sent, and the SMS centre has it not")
        else:
            yield from _mail(row, mails[row["notice_id"]])
    came = Counter(_number(text["to"]) for text in evidence.texts)
    for number, count in came.items():
        if count > left[number]:
            yield Finding("twice", f"{count} messages arrived at {number}, {left[number]} were sent or may have been")


def _mail(row: Row, came: int) -> Iterator[Finding]:
    if row["state"] == "sent" and came == 0:
        yield Finding("lost", f"notice {row['notice_id']} counts as sent, and no mail arrived")
    if row["customer_id"] is not None and came > int(row["state"] in ("sent", "unconfirmed")):
        yield Finding("twice", f"notice {row['notice_id']} is {row['state']}, and {came} mails arrived")


def _of(evidence: Evidence, *kinds: str) -> list[Intent]:
    return [intent for intent in evidence.intents if intent.kind in kinds]


def _ids(evidence: Evidence, noun: str, name: str) -> Counter[str]:
    return Counter(str(record.data[name]) for record in evidence.of(noun))


def _marks(what: str, intents: Iterable[Intent], found: Mapping[str, int]) -> Iterator[Finding]:
    """Each effect that was taken is there, none is there twice, and none that every answer refused."""
    for intent in intents:
        count = found.get(intent.key, 0)
        if count == 0 and intent.is_taken:
            yield Finding("lost", f"{what} {intent.key} was taken and is not there")
        if count > 1:
            yield Finding("twice", f"{what} {intent.key} is there {count} times")
        if count and not intent.is_taken and not intent.is_open:
            yield Finding("twice", f"{what} {intent.key} is there although it was answered {intent.outcomes}")


def _told_once(what: str, wanted: Iterable[str], found: Mapping[str, int]) -> Iterator[Finding]:
    for each in wanted:
        count = found.get(each, 0)
        if count == 0:
            yield Finding("lost", f"{what} {each}: nothing came of it")
        if count > 1:
            yield Finding("twice", f"{what} {each}: {count} times")


def _more_than_once(what: str, found: Mapping[str, int]) -> Iterator[Finding]:
    return (Finding("twice", f"{what} {each}: {count} times") for each, count in found.items() if count > 1)


def _header(mail: Row, name: str) -> str:
    return str({key.lower(): value for key, value in mail["headers"].items()}.get(name, ""))


def _number(address: str | None) -> str:
    return str(address or "").lstrip("+")
