"""What callers see: masked unless they are on the way there."""

from __future__ import annotations

from services.fieldvisit.api.access import scope_of
from services.fieldvisit.api.bodies import LineBody
from services.fieldvisit.api.views import needs_to_know, visit_view
from services.fieldvisit.domain.visiting import fail
from services.fieldvisit.domain.withdrawing import settle
from services.fieldvisit.problems import PROBLEM_TYPES
from services.fieldvisit.store import Scope
from shared.web.auth import Principal, Role
from shared.web.catalogue import catalogue
from tests.unit.fieldvisit.build import NOW, hazardous, in_the_field, known, only_visit, payment, planned


def test_name_and_address_lines_are_masked_while_hazard_and_district_are_shown() -> None:
    customer = known(hazardous(), customer=in_the_field())
    shown = visit_view(only_visit(customer), customer, unmasked=False)
    assert shown.customer is not None
    assert (shown.customer.name, shown.customer.masked) == ("张**", True)
    (address,) = shown.customer.addresses
    assert (address.lines, address.district) == (["***"], "浦东新区")
    assert "世纪大道" not in shown.model_dump_json()


def test_the_people_on_the_way_read_it_unmasked() -> None:
    customer = planned()
    visit = only_visit(customer)
    assert [needs_to_know(visit, staff) for staff in ("field-1", "field-2", "field-3")] == [True, True, False]
    shown = visit_view(visit, customer, unmasked=True)
    assert shown.customer is not None
    assert shown.customer.addresses[0].lines == ["世纪大道 1 号"]


def test_a_colleague_whose_plan_fell_through_is_not_on_the_way_any_more() -> None:
    before = planned()
    missed, _ = fail(before, only_visit(before), "nobody_home", None, NOW)
    assert not needs_to_know(only_visit(missed), "field-2")
    assert needs_to_know(only_visit(missed), "field-1")


def test_once_a_visit_has_ended_nobody_needs_the_address() -> None:
    customer, _ = settle(known(payment(), customer=planned()), NOW)
    visit = only_visit(customer)
    assert not needs_to_know(visit, "field-1")
    assert visit_view(visit, customer, unmasked=False).customer is None


def test_what_is_owed_is_shown_by_currency() -> None:
    customer = in_the_field(payment(minor=40_00))
    shown = visit_view(only_visit(customer), customer, unmasked=False)
    assert [(amount.currency, amount.minor) for amount in shown.owed] == [("CNY", 60_00)]


def test_collectors_see_their_own_supervisors_their_team_the_assistant_all() -> None:
    def scope(*roles: Role, team: str | None = None) -> Scope:
        return scope_of(Principal("x-1", frozenset(roles), team))

    assert scope(Role.FIELD_AGENT, team="north") == Scope(person="x-1")
    assert scope(Role.SUPERVISOR, team="north") == Scope(team="north")
    assert scope(Role.SUPERVISOR) == Scope(everybody=True)
    assert scope(Role.ADMIN_ASSISTANT).everybody


def test_the_service_s_problem_codes_do_not_clash_with_the_common_ones() -> None:
    assert set(catalogue(PROBLEM_TYPES)) > {row.code for row in PROBLEM_TYPES}


def test_a_line_may_leave_out_what_has_a_usual_value() -> None:
    row = {
        "visit_id": "V1",
        "starts_at": "2026-02-26T18:30:00+08:00",
        "ends_at": "2026-02-26T19:30:00+08:00",
        "members": ["field-1", "field-2"],
        "recorder_id": "R1",
    }
    line = LineBody.model_validate(row).line()
    assert (line.address_id, line.hazard_acknowledged, line.outside_window_reason) == (None, False, None)
