"""The case's life: opened when something is overdue, aging by itself, closed when nothing is owed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import structs

from services.assignment.domain import plan, promises, proposals
from services.assignment.domain.model import Account, Case, Customer, case_accounts, worst_bucket, worst_grade
from services.assignment.domain.policy import Policy, Turn
from shared.events.cases import CaseClosed, CaseOpened, CaseRecalled, CloseReason
from shared.events.kinds import Reason
from shared.ids import derived_id
from shared.rules.aging import days_past_due

_DAYS_A_BUCKET = 30
_OLDEST = 180
CLOSED_ZH: dict[CloseReason, str] = {"paid": "已还清", "cured": "已恢复正常", "nothing_owed": "已无逾期欠款"}
CLOSED_EN: dict[CloseReason, str] = {"paid": "paid", "cured": "cured", "nothing_owed": "nothing is owed"}


def settle(turn: Turn) -> None:
    """Make the case agree with what is owed now: open it, close it, or bring bucket, grade and promise up to date.

    Called after every change and by the timer; a second call in the same state changes nothing.
    """
    customer = turn.customer
    owing = customer.owing()
    if customer.open_case is not None and not owing:
        _close(turn)
    elif customer.open_case is None and any(_overdue(account, turn.today) for _, account in owing):
        _open(turn)
    if turn.customer.open_case is not None:
        _refresh(turn)
        promises.judge(turn)


def catch_up(turn: Turn) -> None:
    """Do all that is due by now: ageing, the end of a promise, the first step, the next step, the end of a rest."""
    settle(turn)
    plan.begin(turn)
    plan.lapse(turn)
    plan.go_on(turn)


def next_due(customer: Customer, policy: Policy, now: datetime) -> datetime | None:
    """Return the earliest instant after which `catch_up` has something to do; None when nothing will come by itself."""
    instants = [_ages_at(account, policy, now) for _, account in customer.owing()]
    case = customer.open_case
    if case is not None:
        if case.promise is not None:
            instants.append(case.promise.lapses_at)
        if case.step is None and not customer.stopped:
            instants.append(case.begins_at or now)
        if plan.step_runs(customer.stopped, case):
            instants.append(plan.lapse_instant(case))
        if plan.rest_is_over(policy, customer):
            instants.append(now)
    return min((instant for instant in instants if instant is not None), default=None)


def recall(turn: Turn, why: Reason, *, by: str | None = None, words: str | None = None) -> None:
    """Take the case back out of the field, if it is there; a visit that has not begun is not made."""
    case = turn.customer.open_case
    if case is None or case.hand_over is None:
        return
    turn.set_case(hand_over=None, offer_from=None)
    turn.facts.append(
        CaseRecalled(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            hand_over_id=case.hand_over.hand_over_id,
            reason=why,
            recalled_at=turn.now,
        )
    )
    turn.note(
        "recalled",
        f"从外访撤回：{why.zh}",
        f"Recalled from the field: {why.en}",
        reason=why.code,
        hand_over_id=case.hand_over.hand_over_id,
        by=by,
        words=words,
    )


def _open(turn: Turn) -> None:
    customer = turn.customer
    number = customer.episodes + 1
    # An episode that ended while it was only reminded had no collector; who had the one before is still asked first.
    earlier = (customer.case.collector or customer.case.earlier_collector) if customer.case else None
    case = Case(
        # Named after the episode, so that the same facts handled again open the same case.
        case_id=str(derived_id("case", customer.customer_id, number)),
        number=number,
        opened_at=turn.now,
        bucket=worst_bucket(customer, turn.today),
        grade=worst_grade(customer),
        account_ids=tuple(account_id for account_id, _ in customer.owing()),
        trace=turn.trace,
        begins_at=turn.now + timedelta(minutes=turn.policy.strategy.gather_minutes),
        earlier_collector=earlier,
    )
    turn.customer = structs.replace(customer, case=case, episodes=number)
    turn.facts.append(
        CaseOpened(
            case_id=case.case_id,
            customer_id=customer.customer_id,
            opened_at=turn.now,
            accounts=case_accounts(turn.customer),
            bucket=case.bucket,
        )
    )
    turn.note(
        "case_opened",
        f"立案：{len(case.account_ids)} 个账户逾期，账龄 {case.bucket}",
        f"Opened: {len(case.account_ids)} account(s) overdue, bucket {case.bucket}",
        bucket=case.bucket,
        accounts=len(case.account_ids),
    )


def _close(turn: Turn) -> None:
    case = turn.case()
    reason = _close_reason(turn.customer, case)
    promises.judge(turn)
    case = turn.case()
    if case.proposal is not None:
        proposals.end(turn, "withdrawn", Reason("case_closed", "已无欠款", "Nothing is owed"))
    if case.promise is not None:
        turn.note("promise_ended", "案件已结，承诺不再需要", "The case is over, so the promise is no longer needed")
    turn.set_case(
        step=None,
        touched=(),
        declined=(),
        begins_at=None,
        promise=None,
        hand_over=None,
        waiver=None,
        offer_from=None,
        aside=None,
        closed_at=turn.now,
        close_reason=reason,
    )
    turn.facts.append(
        CaseClosed(case_id=case.case_id, customer_id=turn.customer.customer_id, reason=reason, closed_at=turn.now)
    )
    turn.note("case_closed", f"结案：{CLOSED_ZH[reason]}", f"Closed: {CLOSED_EN[reason]}", reason=reason)


def _close_reason(customer: Customer, case: Case) -> CloseReason:
    """Say why nothing is owed: somebody paid; else the card system said cured; else it reported nothing past due."""
    accounts = [customer.accounts[account_id] for account_id in case.account_ids]
    if any(account.ledger.snapshot is not None and account.ledger.snapshot.past_due > 0 for account in accounts):
        return "paid"
    if any(account.ledger.snapshot and account.cured_at == account.ledger.snapshot.as_of for account in accounts):
        return "cured"
    return "nothing_owed"


def _refresh(turn: Turn) -> None:
    case = turn.case()
    bucket, grade = worst_bucket(turn.customer, turn.today), worst_grade(turn.customer)
    ids = tuple(sorted({*case.account_ids, *(account_id for account_id, _ in turn.customer.owing())}))
    if (bucket, grade, ids) == (case.bucket, case.grade, case.account_ids):
        return
    turn.set_case(bucket=bucket, grade=grade, account_ids=ids)
    if bucket != case.bucket:
        turn.note(
            "case_aged",
            f"账龄由 {case.bucket} 变为 {bucket}",
            f"The bucket went from {case.bucket} to {bucket}",
            bucket=bucket,
        )
    if grade != case.grade and grade is not None:
        turn.note("case_graded", f"风险等级 {grade}", f"Grade {grade}", grade=grade)


def _overdue(account: Account, today: date) -> bool:
    due = account.due_date
    return due is not None and days_past_due(due, today) > 0


def _ages_at(account: Account, policy: Policy, now: datetime) -> datetime | None:
    """Return the midnight at which the account enters its next bucket; none when it is in the last."""
    due = account.due_date
    if due is None:
        return None
    days = days_past_due(due, policy.day_of(now))
    if days > _OLDEST:
        return None
    whole_buckets = -(-days // _DAYS_A_BUCKET)
    return policy.midnight(due + timedelta(days=whole_buckets * _DAYS_A_BUCKET + 1))
