"""How the field desk says no: a stable code, the fault and the remedy, Chinese first, English second."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from services.fieldvisit.domain.model import Visit, VisitState
from shared.errors import FieldError, Problem
from shared.rules.contact import Allowed, Decision, NotBefore

STATE_WORDS: Final = MappingProxyType[VisitState, tuple[str, str]](
    {
        "accepted": ("已接收", "accepted"),
        "planned": ("已列入计划", "planned"),
        "started": ("进行中", "started"),
        "completed": ("已完成", "completed"),
        "missed": ("已报未完成", "reported not done"),
        "withdrawn": ("已撤回", "withdrawn"),
    }
)


def refused(code: str, field: str, fault: tuple[str, str], remedy: tuple[str, str]) -> Problem:
    """Return the problem that says what is wrong with `field` and what to do about it."""
    return Problem(
        code,
        f"{fault[0]}。{remedy[0]}。",
        f"{_sentence(fault[1])} {_sentence(remedy[1])}",
        (FieldError(field, fault[0], fault[1], remedy[0], remedy[1]),),
    )


def no_such_visit() -> Problem:
    """Say that there is no such visit, or that it is somebody else's: the two are not told apart."""
    return Problem("not_found", "没有这个外访，或它不属于您。", "There is no such visit, or it is not yours.")


def only_the_owner_acts() -> Problem:
    """Say that colleagues on a plan see the visit, but its field collector reports it."""
    return Problem(
        "forbidden",
        "只有负责该外访的外访催收员可以办理，同行人员不能代办。",
        "Only the visit's own field collector acts on it; a colleague on the plan does not.",
    )


def duplicate_line() -> Problem:
    """Say that an earlier line of the same plan has planned the visit."""
    return Problem(
        "duplicate_line",
        "同一外访在本计划中已经列入，每个外访只列一次。",
        "An earlier line of this plan has planned the visit; list each visit once.",
    )


def customer_blocked() -> Problem:
    """Say that a fact about the customer could not be read, so that nobody knows whether the visit may be made."""
    return Problem(
        "customer_blocked",
        "该客户有一条消息未能处理，情况不明，暂不能外访。请运维人员处理后再试。",
        "A fact about this customer could not be handled, so a stop may be unknown. Ask the operators to resolve it.",
    )


def not_open(visit: Visit) -> Problem | None:
    """Refuse what has ended: with the reason, when it was withdrawn."""
    withdrawal = visit.withdrawal
    if withdrawal is not None:
        return Problem(
            "visit_withdrawn",
            f"外访已撤回：{withdrawal.detail.zh}。请离开并停止催收。",
            f"The visit has been withdrawn: {withdrawal.detail.en}. Leave, and do not collect.",
            extra={"reason": withdrawal.reason, "reason_code": withdrawal.detail.code},
        )
    return wrong_step(visit) if visit.state == "completed" else None


def wrong_step(visit: Visit) -> Problem:
    """Refuse what does not follow from the state that the visit is in."""
    zh, en = STATE_WORDS[visit.state]
    return Problem(
        "wrong_step",
        f"外访当前状态为“{zh}”，不能进行此操作。",
        f"The visit is {en}; this does not follow from there.",
        extra={"state": visit.state},
    )


def by_rule(decision: Decision) -> Problem | None:
    """Return the refusal of the contact rules with its rule, version and source; none when the contact is allowed."""
    if isinstance(decision, Allowed):
        return None
    because = decision.because
    zh, en = f"{because.reason_zh}。", f"{because.reason_en}."
    extra: dict[str, str] = {
        "rule": because.rule_id,
        "pack": f"{because.pack}@{because.pack_version}",
        "source": because.source,
    }
    if isinstance(decision, NotBefore):
        extra["not_before"] = decision.until.isoformat()
    return Problem("refused_by_rule", zh, en, extra=extra)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
