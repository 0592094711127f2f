"""A customer is erased: the case goes on, and nothing in assignment says any more who that is or how to call."""

from __future__ import annotations

import httpx

from services.assignment.settings import Settings
from services.assignment.store.customers import with_contacts
from shared.events.contacts import CustomerContactsErased
from shared.events.contacts import Phone as Number
from tests.integration.assignment.conftest import FRIDAY, Phones
from tests.integration.dumps import traces_in
from tests.unit.assignment.given import WEDNESDAY, reachable

NAME = "欧阳清"


def number(phones: Phones) -> str:
    return f"+86139{phones.number:08}"


async def traces(phones: Phones) -> list[str]:
    settings: Settings = phones.app.state.settings
    # A stored answer shows the number masked: its beginning and its end.
    masked = f"{number(phones)[:6]}****{number(phones)[-4:]}"
    return await traces_in(settings.database_url.get_secret_value(), [NAME, number(phones), masked])


async def known_by_phone(phones: Phones) -> str:
    """A case by phone whose customer has been called and written about, and a command whose answer shows him."""
    case_id = await phones.by_phone()
    dial = Number(number=number(phones), kind="mobile")
    await phones.take(phones.mine(reachable(FRIDAY, name=NAME, phones=(dial,))))
    words = f"{NAME} 的号码 {number(phones)} 无人接听"
    assert (await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE", note=words)).status_code == 201
    assert (await waive(phones, case_id)).json()["customer"]["name"] == "欧**"
    return case_id


async def waive(phones: Phones, case_id: str) -> httpx.Response:
    """One command under one key, however often it is sent."""
    body, headers = {"reason": "今日再联系"}, phones.boss(key=f"waive-{phones.number}")
    return await phones.http.post(f"/v1/cases/{case_id}/waivers", json=body, headers=headers)


async def held(phones: Phones) -> bool:
    """Whether a sweep after a long absence would ask for this customer."""
    async with phones.bus.reading() as connection:
        return phones.customer() in dict(await with_contacts(connection, "", 1000))


async def erase(phones: Phones) -> None:
    await phones.take(CustomerContactsErased(customer_id=phones.customer(), as_of=FRIDAY))


async def test_the_contact_stays_and_its_note_and_number_and_the_customers_are_gone(phones: Phones) -> None:
    """Seen to fail without `erasing.erase`: the note and the stored answer of the waiver told who it was."""
    case_id = await known_by_phone(phones)
    assert await traces(phones) != []
    assert await held(phones)
    await erase(phones)
    assert not await held(phones)
    assert await traces(phones) == []
    case = await phones.read(case_id)
    assert (case["status"], case["tries"], case["customer"]) == ("open", 1, None)
    timeline = await phones.read(case_id, "/timeline?limit=200")
    notes = {entry["kind"]: entry["note"] for entry in timeline["items"]}
    assert notes["contact"] is None
    assert "contacts_erased" in notes
    again = await waive(phones, case_id)
    assert (again.status_code, again.json()["customer"], again.json()["case_id"]) == (201, None, case_id)


async def test_an_erased_customer_is_neither_called_nor_handed_over(phones: Phones) -> None:
    case_id = await known_by_phone(phones)
    await phones.hire(phones.field_agent, "field_agent")
    await erase(phones)
    for what in ("may-call", "contact-details"):
        answer = await phones.http.get(f"/v1/cases/{case_id}/{what}", headers=phones.headers())
        assert (answer.status_code, answer.json()["code"]) == (409, "contacts_erased")
    (item,) = (await phones.file(phones.line(case_id))).json()["items"]
    assert (item["outcome"], item["problem"]["code"]) == ("refused", "contacts_erased")


async def test_newer_contact_data_begin_anew_and_older_ones_do_not_come_back(phones: Phones) -> None:
    case_id = await known_by_phone(phones)
    await erase(phones)
    await phones.take(phones.mine(reachable(WEDNESDAY, name=NAME)))
    assert (await phones.read(case_id))["customer"] is None
    dial = Number(number="+8613900139000", kind="mobile")
    later = FRIDAY.replace(minute=30)
    phones.clock.set(later)
    await phones.take(phones.mine(reachable(later, name="王芳", phones=(dial,))))
    details = await phones.read(case_id, "/contact-details")
    assert (details["name"], [each["number"] for each in details["phones"]]) == ("王芳", ["+8613900139000"])
    assert (await phones.read(case_id))["tries"] == 1
