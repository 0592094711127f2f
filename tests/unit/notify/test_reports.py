"""What colleagues are told, and who is told."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.notify.domain.model import Colleague, Report
from services.notify.domain.notices import report_draft
from services.notify.domain.reports import REPORTS, recipients
from shared.events.cases import FieldListFiled, ListedHandOver
from shared.events.kinds import Amount, Fact, Reason, StaffRole
from shared.events.visits import PlanFiled, PlannedVisit, VisitBreached, VisitCompleted, VisitMissed, VisitWithdrawn
from tests.unit.notify.build import MORNING, hours


def colleague(staff_id: str, role: StaffRole, team: str = "north", since: int = -24, **changed: object) -> Colleague:
    usual = Colleague(
        staff_id=staff_id,
        version=1,
        name=staff_id,
        role=role,
        team=team,
        language="zh",
        email=f"{staff_id}@bank.example",
        active=True,
        since=MORNING + hours(since),
    )
    return structs.replace(usual, **changed)


COMPLETED = VisitCompleted(
    visit_id="V1",
    case_id="K1",
    customer_id="C1",
    field_agent_id="F1",
    team="north",
    party="SELF",
    outcome="PTP",
    completed_at=MORNING,
    due_at=MORNING + hours(24),
    on_time=True,
)
MISSED = VisitMissed(
    visit_id="V1",
    case_id="K1",
    customer_id="C1",
    field_agent_id="F1",
    team="north",
    reason="nobody_home",
    missed_at=MORNING,
    due_at=MORNING + hours(24),
)
BREACHED = VisitBreached(
    visit_id="V1",
    case_id="K1",
    customer_id="C1",
    field_agent_id="F1",
    team="north",
    due_at=MORNING,
    breached_at=MORNING,
)
WITHDRAWN = VisitWithdrawn(
    visit_id="V1",
    case_id="K1",
    customer_id="C1",
    field_agent_id="F1",
    team="north",
    reason="stopped",
    detail=Reason("dispute", "客户提出异议", "the customer disputes"),
    withdrawn_at=MORNING,
)
LIST = FieldListFiled(
    list_id="L1",
    phone_agent_id="P1",
    team="north",
    day=date(2026, 2, 25),
    filed_at=MORNING,
    hand_overs=(
        ListedHandOver(
            hand_over_id="H1", case_id="K1", field_agent_id="F1", bucket="M2", grade="C", owed=(Amount("CNY", 5),)
        ),
    ),
)
PLAN = PlanFiled(
    plan_id="B1",
    field_agent_id="F1",
    team="north",
    filed_at=MORNING,
    visits=(
        PlannedVisit(
            visit_id="V1", case_id="K1", starts_at=MORNING, ends_at=MORNING + hours(1), due_at=MORNING + hours(24)
        ),
    ),
)
ROSTER = [
    colleague("A1", "admin_assistant"),
    colleague("A2", "admin_assistant", team="south"),
    colleague("A3", "admin_assistant", active=False),
    colleague("S1", "supervisor"),
    colleague("S2", "supervisor", team="south"),
    colleague("F1", "field_agent"),
    colleague("P1", "phone_agent"),
]


def report_of(fact: Fact) -> Report:
    return REPORTS[type(fact)](fact)


def told(fact: Fact) -> list[str]:
    return [each.staff_id for each in recipients(report_of(fact), ROSTER, 0)]


def test_every_active_assistant_of_every_team_is_told_of_what_became_of_a_visit() -> None:
    assert [told(fact) for fact in (COMPLETED, MISSED, BREACHED)] == [["A1", "A2"]] * 3


def test_filings_go_to_the_supervisors_of_the_team() -> None:
    assert [told(fact) for fact in (LIST, PLAN)] == [["S1"]] * 2


def test_a_withdrawal_goes_to_the_field_collector_without_the_customers_own_reasons() -> None:
    assert told(WITHDRAWN) == ["F1"]
    assert report_of(WITHDRAWN).body.reason == "stopped"
    assert "异议" not in repr(report_of(WITHDRAWN))


def test_no_report_names_the_customer() -> None:
    assert all("C1" not in repr(report_of(fact)) for fact in (COMPLETED, MISSED, BREACHED, WITHDRAWN, LIST, PLAN))


def test_one_happening_is_one_report_and_another_attempt_or_time_limit_is_another() -> None:
    again = structs.replace(MISSED, missed_at=MORNING + hours(2))
    extended = structs.replace(BREACHED, due_at=MORNING + hours(48))
    keys = [report_of(fact).key for fact in (COMPLETED, COMPLETED, MISSED, again, BREACHED, extended)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


def test_nobody_there_yet_the_first_to_come_is_told() -> None:
    late = [colleague("A9", "admin_assistant", since=5)]
    assert recipients(report_of(COMPLETED), [], 0) == []
    assert recipients(report_of(COMPLETED), late, 0) == late


def test_told_already_only_who_was_there_when_it_happened_is_told_as_well() -> None:
    roster = [colleague("A8", "admin_assistant", since=-1), colleague("A9", "admin_assistant", since=5)]
    assert [each.staff_id for each in recipients(report_of(COMPLETED), roster, 1)] == ["A8"]


@given(st.permutations(ROSTER))
def test_each_reader_gets_one_notice_under_one_id_whatever_the_order(roster: list[Colleague]) -> None:
    report = report_of(COMPLETED)
    drafts = [report_draft(report, reader, 0, "-") for reader in recipients(report, roster, 0)]
    assert [draft.natural_key for draft in drafts] == ["visit_done:V1:A1", "visit_done:V1:A2"]
    assert len({draft.notice_id for draft in drafts}) == 2
    assert drafts[0].notice_id == report_draft(report, colleague("A1", "admin_assistant"), 3, "x").notice_id
    assert drafts[0].due == MORNING + timedelta(0)
