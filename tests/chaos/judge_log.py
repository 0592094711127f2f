"""What the logs say: numbers dense and in order, each fact once, each customer's facts in the order they were taken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.evidence import Evidence, Finding, Record
from tests.chaos.ledger import Intent


def numbers(evidence: Evidence) -> Iterator[Finding]:
    """In each stream every number from the first to the head stands in the log, none before the one below it."""
    heads = {(head.topic, head.partition): head for head in evidence.heads}
    streams: dict[tuple[str, int], list[Record]] = {key: [] for key in heads}
    for record in evidence.records:
        streams.setdefault((record.topic, record.partition), []).append(record)
    for key, records in streams.items():
        yield from _stream(records)
        head = heads.get(key)
        found = {record.sequence for record in records}
        given = head.head if head is not None else max(found, default=0)
        published = head.published[1] if head is not None else 0
        for missing in sorted(set(range(1, given + 1)) - found):
            where = f"{key[0]}/{key[1]} number {missing}"
            if missing <= max(published, max(found, default=0)):
                yield Finding("lost", f"{where} is not in the log, but was passed over")
            else:
                yield Finding("stuck", f"{where} is not published")


def _stream(records: Sequence[Record]) -> Iterator[Finding]:
    last = 0
    ids: dict[tuple[int, int], str] = {}
    for record in sorted(records, key=lambda record: record.offset):
        known = ids.setdefault(record.number, record.id)
        if known != record.id:
            yield Finding("twice", f"{record.stream}: number {record.number} was given to {known} and {record.id}")
        elif record.sequence > last + 1:
            yield Finding("out of order", f"{record.stream}: number {record.sequence} stands after {last}")
        last = max(last, record.sequence)
    for fact_id, count in Counter(ids.values()).items():
        if count > 1:
            yield Finding("twice", f"fact {fact_id} has {count} numbers")


def events_once(evidence: Evidence) -> Iterator[Finding]:
    """Each event that was taken is told by exactly one fact; each that was only asked for, by one at most."""
    asked = {str(intent.detail["identity"]): intent for intent in evidence.intents if intent.kind == "event"}
    for identity, intent in asked.items():
        told = len(evidence.by_identity.get(identity, ()))
        if told == 0 and intent.is_taken:
            yield Finding("lost", f"event {intent.key} was taken, and no fact tells it")
        if told > 1:
            yield Finding("twice", f"event {intent.key} is told by {told} facts")
    for identity in evidence.by_identity.keys() - asked.keys():
        yield Finding("twice", f"a fact tells what nobody sent: {identity}")


def taken_in_order(evidence: Evidence) -> Iterator[Finding]:
    """What was taken before something else of the same customer was sent stands before it in the log."""
    for customer_id, told in _told_by_customer(evidence).items():
        for earlier, first in told:
            for later, second in told:
                happened = earlier.taken is not None and earlier.taken < later.begun
                if happened and first.topic == second.topic and first.number > second.number:
                    yield Finding("out of order", f"{customer_id}: {later.key} was sent after {earlier.key} was taken")


def _told_by_customer(evidence: Evidence) -> Mapping[str, Sequence[tuple[Intent, Record]]]:
    told: dict[str, list[tuple[Intent, Record]]] = defaultdict(list)
    for intent in evidence.intents:
        if intent.kind == "event":
            for record in evidence.by_identity.get(str(intent.detail["identity"]), ()):
                told[intent.customer_id].append((intent, record))
    return told


def read_in_order(evidence: Evidence) -> Iterator[Finding]:
    """A case's timeline shows a customer's facts of one topic in the order of the log, each once."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in sorted(evidence.timeline, key=lambda row: (row["customer_id"], row["seq"])):
        if (named := _line(row["kind"], row["data"])) is not None:
            lines[row["customer_id"], named[0]].append(named[1])
    facts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in evidence.facts:
        if (named := _line_of(record)) is not None:
            facts[str(record.data["customer_id"]), named[0]].append(named[1])
    for (customer_id, topic), shown in lines.items():
        if not _is_part_in_order(shown, facts[customer_id, topic]):
            more = Counter(shown) - Counter(facts[customer_id, topic])
            if more:
                yield Finding("twice", f"{customer_id}: its timeline shows too often: {', '.join(more)}")
            else:
                yield Finding("out of order", f"{customer_id}: its timeline does not follow {topic}")


def _line(kind: str, data: Mapping[str, object]) -> tuple[str, str] | None:
    """The topic, and the name that a line of a timeline shares with the fact that made it."""
    match kind:
        case "payment" | "payment_reversed":
            return "card", f"{kind} {data['account_id']} {data['amount']}"
        case "visit":
            return "visits", f"{data['visit_id']} {data['state']}"
        case "notice":
            return "notices", f"{data['notice_id']} {data['state']}"
        case _:
            return None


def _line_of(record: Record) -> tuple[str, str] | None:
    data, (thing, _, what) = record.data, record.noun.partition(".")
    match thing:
        case "payment":
            return (
                "card",
                f"{'payment' if what == 'posted' else 'payment_reversed'} {data['account_id']} {data['amount']}",
            )
        case "visit":
            return "visits", f"{data['visit_id']} {what}"
        case "notice" if data["customer_id"] is not None:
            return "notices", f"{data['notice_id']} {what}"
        case _:
            return None


def _is_part_in_order(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(any(each == other for other in rest) for each in part)
