"""A customer is erased: nobody goes there, and nothing at the field desk says any more who or where that was."""

from __future__ import annotations

from typing import Any

from services.fieldvisit import store
from services.fieldvisit.settings import Settings
from shared.events.contacts import Address
from shared.events.visits import VisitWithdrawn
from tests.integration.dumps import traces_in
from tests.integration.fieldvisit.conftest import Field
from tests.unit.fieldvisit.build import HOUR, NOW, contacts, erased

WORDS = ("欧阳清", "长乐东路 977 号", "黄狗很凶", "上夜班")


async def traces(desk: Field) -> list[str]:
    settings: Settings = desk.app.state.settings
    return await traces_in(settings.database_url.get_secret_value(), WORDS)


async def known_in_the_field(desk: Field) -> tuple[str, dict[str, Any]]:
    """A visit that failed once and is planned again; notes, plans and stored answers hold what they may."""
    home = Address(address_id="home", kind="home", lines=(WORDS[1],), district="静安区", city="上海", hazard=WORDS[2])
    visit_id = await desk.handed_over(desk.mine(contacts(NOW, name=WORDS[0], addresses=(home,))))
    line = desk.line(visit_id, hazard_acknowledged=True, outside_window_reason=f"客户{WORDS[3]}")
    assert (await desk.plan(line)).status_code == 201
    command = {"reason": "nobody_home", "note": f"{WORDS[0]} 不在 {WORDS[1]}"}
    answer = await desk.act(visit_id, "fail", command, key=f"fail-{desk.number}")
    assert answer.json()["customer"]["addresses"][0]["hazard"] == WORDS[2]
    assert (await desk.plan({**line, "starts_at": (NOW + 3 * HOUR).isoformat()})).status_code in (200, 201)
    return visit_id, command


async def held(desk: Field) -> bool:
    """Whether a sweep after a long absence would ask for this customer."""
    async with desk.bus.reading() as connection:
        return desk.customer in dict(await store.with_contacts(connection, "", 1000))


async def test_the_visit_is_withdrawn_and_name_address_hazard_and_notes_are_gone(desk: Field) -> None:
    """Seen to fail without `store.erase`: notes, plan lines and stored answers told who and where it was."""
    visit_id, command = await known_in_the_field(desk)
    assert {word for found in await traces(desk) for word in WORDS if found.endswith(word)} == set(WORDS)
    assert await held(desk)
    await desk.take(desk.mine(erased()))
    assert not await held(desk)
    assert await traces(desk) == []
    visit = (await desk.http.get(f"/v1/visits/{visit_id}", headers=desk.headers())).json()
    assert (visit["state"], visit["withdrawal"]["reason"]) == ("withdrawn", "erased")
    assert (visit["customer"], visit["notes"], len(visit["misses"])) == (None, [], 1)
    withdrawn = [fact for fact in await desk.told() if isinstance(fact, VisitWithdrawn)]
    assert [fact.detail.code for fact in withdrawn] == ["contacts_erased"]
    again = await desk.act(visit_id, "fail", command, key=f"fail-{desk.number}")
    assert (again.status_code, again.json()["customer"], again.json()["state"]) == (200, None, "missed")


async def test_a_visit_to_an_erased_address_is_neither_planned_nor_started(desk: Field) -> None:
    visit_id, _ = await known_in_the_field(desk)
    await desk.take(desk.mine(erased()))
    (item,) = (await desk.plan(desk.line(visit_id))).json()["items"]
    started = await desk.act(visit_id, "start")
    assert (item["problem"]["code"], started.status_code, started.json()["code"]) == (
        "visit_withdrawn",
        409,
        "visit_withdrawn",
    )
