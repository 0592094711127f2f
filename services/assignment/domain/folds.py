"""Which fold each fact has. A fold changes the turn's customer and returns None, or a short word: nothing changed.

Folds bear any order across topics and any repetition: a fact about an unknown customer or account makes a stub. Facts
are folded first and the plan steps later, by the timer, so what was reported together meets one plan whatever came
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from services.assignment.domain import folds_card, folds_told
from services.assignment.domain.policy import Turn
from shared.events import card, contacts, notices, risk, visits
from shared.events.kinds import Fact

Fold = Callable[[Turn, Any], str | None]

FOLDS: Final[Mapping[type[Fact], Fold]] = MappingProxyType(
    {
        card.AccountOverdueReported: folds_card.overdue_reported,
        card.AccountCured: folds_card.cured,
        card.PaymentPosted: folds_card.payment_posted,
        card.PaymentReversed: folds_card.payment_reversed,
        card.StopSet: folds_card.stop_set,
        card.StopLifted: folds_card.stop_lifted,
        contacts.CustomerContactsChanged: folds_card.contacts_changed,
        contacts.CustomerContactsErased: folds_card.contacts_erased,
        risk.AccountGraded: folds_card.graded,
        visits.VisitAccepted: folds_told.visit_accepted,
        visits.VisitPlanned: folds_told.visit_planned,
        visits.VisitStarted: folds_told.visit_started,
        visits.VisitCompleted: folds_told.visit_completed,
        visits.VisitMissed: folds_told.visit_missed,
        visits.VisitBreached: folds_told.visit_breached,
        visits.VisitWithdrawn: folds_told.visit_withdrawn,
        notices.NoticeSent: folds_told.notice_sent,
        notices.NoticeDelivered: folds_told.notice_delivered,
        notices.NoticeUndelivered: folds_told.notice_undelivered,
        notices.NoticeFailed: folds_told.notice_failed,
        notices.NoticeSuppressed: folds_told.notice_suppressed,
        notices.NoticeUnconfirmed: folds_told.notice_unconfirmed,
        notices.CustomerOptedOut: folds_told.opted_out,
    }
)


def fold(turn: Turn, fact: Fact) -> str | None:
    """Take `fact` into the turn; return a short word when it changed nothing. Raises Permanent for what cannot be."""
    return FOLDS[type(fact)](turn, fact)
