"""What people decide, each in one transaction: load under lock, decide by the domain, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from services.assignment.desk import Desk
from services.assignment.domain import contacts, handover, law, proposals
from services.assignment.domain.contacts import Contact
from services.assignment.domain.desk import TABLE, Row
from services.assignment.domain.handover import Filing, unknown_case
from services.assignment.domain.model import amounts_owed
from services.assignment.domain.policy import Turn
from services.assignment.domain.roster import Colleague
from services.assignment.domain.staff import reassign
from services.assignment.recording import Work, record
from services.assignment.store import customers, lists, staff, worklists
from services.assignment.store.customers import Held
from services.assignment.store.lists import FieldList, Line
from services.assignment.store.worklists import Scope
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.events.cases import FieldListFiled, ListedHandOver, ProposedQueue
from shared.ids import uuid7
from shared.web.etags import check_if_match


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts on which case, as far as they may see, and on what they have seen."""

    case_id: str
    scope: Scope
    if_match: str | None = None


async def put_staff(
    uow: UnitOfWork, wanted: Colleague, team: str | None, if_match: str | None
) -> tuple[Colleague, bool]:
    """Keep what a supervisor says of a colleague; return it and whether it is new.

    `team`: the supervisor's own; only its people are theirs to keep. Raises Problem 404, 412, 428.
    """
    held = await staff.lock(uow.connection, wanted.staff_id)
    if team is not None and (wanted.team != team or (held is not None and held.team != team)):
        raise Problem("not_found", "没有这位同事，或不在您的团队。", "There is no such colleague in your team.")
    check_if_match(if_match, held.version if held else 0, required=held is not None)
    if held is not None and structs.replace(wanted, version=held.version, changed_at=held.changed_at) == held:
        return held, False
    kept = structs.replace(wanted, version=held.version + 1 if held else 1, changed_at=uow.now)
    await staff.save(uow.connection, kept)
    uow.emit(kept)
    return kept, held is None


async def take_next(uow: UnitOfWork, desk: Desk, staff_id: str) -> Held | None:
    """Put the first free case of the own worklist on the collector's desk, or keep the one that is there."""
    machine_now = desk.machine.now()
    held = await worklists.take_next(uow.connection, staff_id, uow.now, machine_now, machine_now + desk.lease)
    if held is not None:
        await record(uow, [Work.on(held, uow, desk.policy)], desk.policy, touched=True)
    return held


async def release(uow: UnitOfWork, desk: Desk, staff_id: str, case_id: str, reason: str) -> None:
    """Take a case from the desk without a contact; it is offered again after the retry time. Raises Problem 404."""
    work = await _work(uow, desk, Acting(case_id, Scope(person=staff_id)))
    if work.held.leased_by != staff_id:
        raise unknown_case()
    contacts.put_aside(work.turn)
    work.lease(staff_id)
    await record(uow, [work], desk.policy, touched=True)
    await worklists.save_skip(uow.connection, staff_id, case_id, reason, desk.machine.now())


async def log_contact(uow: UnitOfWork, desk: Desk, acting: Acting, contact: Contact, note: str | None) -> Held:
    """Log a contact and what follows from it. Raises Problem 404, 409, 412, 422."""
    work = await _work(uow, desk, acting)
    # Whoever calls in has been heard already, and what was heard may be a stop.
    await _refuse_blocked(uow, work, unread=contact.channel != "INBOUND")
    contacts.log(work.turn, contact)
    work.caused_by(None)
    work.lease(None)
    await record(uow, [work], desk.policy, touched=True)
    row = (
        contact.contact_id,
        work.turn.customer.customer_id,
        acting.case_id,
        contact.staff_id,
        contact.channel,
        contact.line,
        contact.party,
        contact.outcome,
        contact.purpose,
        contact.phone_id,
        contact.contacted_at,
        uow.now,
        note,
    )
    await worklists.save_contact(uow.connection, row)
    return _after(work)


def row_of(contact: Contact) -> Row:
    """Return the table's row of a contact that was logged."""
    return TABLE[contact.line, contact.party, contact.outcome]


async def waive(uow: UnitOfWork, desk: Desk, acting: Acting, supervisor_id: str, words: str) -> Held:
    """Record a supervisor's decision that should-rules do not hold today. Raises Problem 404, 409, 412."""
    return await _act(uow, desk, acting, lambda turn: contacts.waive(turn, supervisor_id, words))


async def recall(uow: UnitOfWork, desk: Desk, acting: Acting, supervisor_id: str, words: str) -> Held:
    """Take a case back out of the field. Raises Problem 404, 409, 412."""
    return await _act(uow, desk, acting, lambda turn: handover.recall_by_supervisor(turn, supervisor_id, words))


async def assign_to(uow: UnitOfWork, desk: Desk, acting: Acting, staff_id: str, by: str, words: str) -> Held:
    """Give a case to another collector. Raises Problem 404, 409, 412, 422."""
    work = await _work(uow, desk, acting)
    # Who shares out cases meanwhile is to count this one where it will be.
    await staff.lock_loads(uow.connection)
    known = await staff.colleagues(uow.connection, [staff_id])
    reassign(work.turn, known.get(staff_id), by=by, words=words)
    return await _done(uow, desk, work)


async def propose(uow: UnitOfWork, desk: Desk, acting: Acting, queue: ProposedQueue, by: str, words: str) -> Held:
    """Propose law or an agency for a case. Raises Problem 404, 409, 412."""
    return await _act(uow, desk, acting, lambda turn: proposals.by_person(turn, queue, by, words))


async def confirm(uow: UnitOfWork, desk: Desk, acting: Acting, proposal_id: str, by: str, words: str) -> Held:
    """Put a case where it was proposed to. Raises Problem 404, 409, 412, 503 while facts may lie unread."""
    work = await _work(uow, desk, acting)
    await _refuse_blocked(uow, work, unread=True)
    law.confirm(work.turn, proposal_id, by, words)
    return await _done(uow, desk, work)


async def decline(uow: UnitOfWork, desk: Desk, acting: Acting, proposal_id: str, by: str, words: str) -> Held:
    """Leave a case where it is. Raises Problem 404, 409, 412."""
    return await _act(uow, desk, acting, lambda turn: proposals.decline(turn, proposal_id, by, words))


async def _act(uow: UnitOfWork, desk: Desk, acting: Acting, decide: Callable[[Turn], None]) -> Held:
    work = await _work(uow, desk, acting)
    decide(work.turn)
    return await _done(uow, desk, work)


async def _done(uow: UnitOfWork, desk: Desk, work: Work) -> Held:
    work.caused_by(None)
    await record(uow, [work], desk.policy)
    return _after(work) if work.changed else work.held


async def _work(uow: UnitOfWork, desk: Desk, acting: Acting) -> Work:
    """Lock the case that somebody acts on. Raises Problem: 404 out of scope, 412 when it was changed since seen."""
    held = (await customers.load_cases(uow.connection, [acting.case_id])).get(acting.case_id)
    if held is None or not in_scope(held, acting.scope):
        raise unknown_case()
    check_if_match(acting.if_match, held.version, required=False)
    return Work.on(held, uow, desk.policy)


def in_scope(held: Held, scope: Scope) -> bool:
    """Tell whether the customer's case is the caller's to see, as the store's lists have it."""
    case = held.customer.case
    if case is None:
        return False
    own_team = scope.team is not None and case.team in (None, scope.team)
    nobodys = scope.nobodys and case.collector is None
    return scope.everybody or own_team or nobodys or (scope.person is not None and case.collector == scope.person)


async def _refuse_blocked(uow: UnitOfWork, work: Work, *, unread: bool) -> None:
    key = work.turn.customer.customer_id
    if await uow.blocked_keys([key]):
        raise blocked()
    if unread and (problem := (await uow.unread_keys([key])).get(key)) is not None:
        raise problem


def blocked() -> Problem:
    """Return what is said while a fact about the customer lies unread: it may be a stop (D3)."""
    return Problem("customer_blocked", "客户情况不明，暂停办理。", "A fact about the customer could not be read yet.")


def _after(work: Work) -> Held:
    return structs.replace(
        work.held,
        customer=work.turn.customer,
        version=work.held.version + 1,
        entries=work.held.entries + len(work.turn.entries),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """One row of a list as it was sent: which case goes to whom, and why."""

    case_id: str
    field_agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of a list: the list itself if any row was handed over, and per row its id or the refusal."""

    at: datetime
    field_list: FieldList | None
    handed_over: Mapping[int, str]
    refusals: Mapping[int, Problem]


async def file_list(uow: UnitOfWork, desk: Desk, phone_agent_id: str, rows: Mapping[int, Wanted]) -> Filed:
    """Hand over what may be handed over, each row on its own, and file the list with the collector's supervisor."""
    held = await customers.load_cases(uow.connection, (row.case_id for row in rows.values()))
    known = await staff.colleagues(uow.connection, [phone_agent_id, *(row.field_agent_id for row in rows.values())])
    asked = [each.customer.customer_id for each in held.values()]
    barred = {**await uow.unread_keys(asked), **dict.fromkeys(await uow.blocked_keys(asked), blocked())}
    works = {case_id: Work.on(each, uow, desk.policy) for case_id, each in held.items()}
    agent = known.get(phone_agent_id)
    filing = Filing(str(uuid7()), phone_agent_id, agent.team if agent else "")
    lines: list[Line] = []
    listed: list[ListedHandOver] = []
    refusals: dict[int, Problem] = {}
    done: dict[int, str] = {}
    for number, row in rows.items():
        work = works.get(row.case_id)
        refusal = _refusal(work, row, filing, known, barred, {line.case_id for line in lines})
        if refusal is not None or work is None:
            refusals[number] = refusal or unknown_case()
            continue
        line = handover.hand_over(work.turn, filing, str(uuid7()), row.field_agent_id)
        work.caused_by(None)
        work.lease(None)
        listed.append(line)
        lines.append(_line(line, work, row))
        done[number] = line.hand_over_id
    field_list = await _file(uow, desk, filing, list(works.values()), lines, listed) if lines else None
    return Filed(uow.now, field_list, done, refusals)


def _refusal(
    work: Work | None,
    row: Wanted,
    filing: Filing,
    known: Mapping[str, Colleague],
    barred: Mapping[str, Problem],
    taken: set[str],
) -> Problem | None:
    if row.case_id in taken:
        return Problem("duplicate_line", "此案件在清单中已出现。", "The list names this case already.")
    if work is None:
        return unknown_case()
    refusal = handover.refusal(work.turn, filing.phone_agent_id, known.get(row.field_agent_id))
    return refusal or barred.get(work.turn.customer.customer_id)


async def _file(
    uow: UnitOfWork,
    desk: Desk,
    filing: Filing,
    works: Sequence[Work],
    lines: Sequence[Line],
    listed: Sequence[ListedHandOver],
) -> FieldList:
    await record(uow, works, desk.policy)
    field_list = FieldList(
        list_id=filing.list_id,
        phone_agent_id=filing.phone_agent_id,
        team=filing.team,
        day=desk.policy.day_of(uow.now),
        filed_at=uow.now,
        lines=tuple(lines),
    )
    await lists.save(uow.connection, field_list)
    uow.emit(
        FieldListFiled(
            list_id=field_list.list_id,
            phone_agent_id=field_list.phone_agent_id,
            team=field_list.team,
            day=field_list.day,
            filed_at=field_list.filed_at,
            hand_overs=tuple(listed),
        )
    )
    return field_list


def _line(line: ListedHandOver, work: Work, row: Wanted) -> Line:
    return Line(
        hand_over_id=line.hand_over_id,
        case_id=line.case_id,
        customer_id=work.turn.customer.customer_id,
        field_agent_id=line.field_agent_id,
        reason=row.reason,
        bucket=line.bucket,
        grade=line.grade,
        owed=amounts_owed(work.turn.customer),
    )
