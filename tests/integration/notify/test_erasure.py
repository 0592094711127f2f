"""A customer is erased: nothing is sent any more, and nothing that tells who it was is left in notify."""

from __future__ import annotations

import asyncpg

from services.notify.settings import Settings
from services.notify.store.customers import with_contacts
from shared.events.notices import NoticeSent, NoticeSuppressed
from tests.integration.dumps import traces_in
from tests.integration.notify.conftest import House, Person, at_night, told, until
from tests.unit.notify.build import MORNING, contacts, erased, hours, reminder_due

NAME = "欧阳清"


def database(house: House) -> str:
    settings: Settings = house.settings
    return settings.database_url.get_secret_value()


async def held(person: Person) -> bool:
    """Whether a sweep after a long absence would ask for this customer."""
    connection = await asyncpg.connect(database(person.house))
    try:
        return person.id in dict(await with_contacts(connection, "", 1000))
    finally:
        await connection.close()


def words(person: Person) -> list[str]:
    return [NAME, person.mobile, person.mailbox]


async def test_an_erased_customers_messages_stay_as_contacts_without_name_address_and_words(person: Person) -> None:
    """Seen to fail without the erasure of notices: address, subject and text were left in the row."""
    await person.owes(name=NAME)
    await person.tell(reminder_due("email"))
    assert NAME in (await person.mails())[0]["text"]
    assert await traces_in(database(person.house), words(person)) != []
    assert await held(person)
    await person.tell(erased())
    assert not await held(person)
    assert await traces_in(database(person.house), words(person)) == []
    listed = await person.notice()
    notice = (await person.house.get(f"/v1/notices/{listed['notice_id']}")).json()
    assert (notice["state"], notice["sent_at"] is not None) == ("sent", True)
    assert (notice["address"], notice["subject"], notice["text"]) == (None, None, None)
    ((_, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeSent)


async def test_a_reminder_that_waits_when_the_customer_is_erased_is_suppressed_for_that_reason(person: Person) -> None:
    at_night(person.house)
    await person.owes(name=NAME, as_of=MORNING)
    await person.tell(reminder_due(at=person.house.clock.now()))
    assert (await person.notice())["state"] == "waiting"
    await person.tell(erased())
    notice = await person.notice()
    assert (notice["state"], notice["reason"]["code"]) == ("suppressed", "contacts_erased")
    assert (await person.messages(), await traces_in(database(person.house), words(person))) == ([], [])
    ((_, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeSuppressed)


async def test_a_message_that_was_put_back_by_the_gateway_is_not_sent_after_the_erasure(person: Person) -> None:
    """Its address and its words stand in the row while it waits to be tried again."""
    await person.owes(name=NAME)
    await person.house.behave("sms", reject={person.mobile.removeprefix("+"): 88})
    await person.house.tell(person.mine(reminder_due()))

    async def put_back() -> bool:
        found = await person.notices()
        return bool(found) and found[0]["state"] == "due" and found[0]["attempts"] > 0

    await until(put_back)
    await person.tell(erased())
    assert ((await person.notice())["state"], await person.messages()) == ("suppressed", [])
    assert await traces_in(database(person.house), words(person)) == []


async def test_contact_data_newer_than_the_erasure_are_written_to_again(person: Person) -> None:
    await person.owes(name=NAME)
    await person.tell(erased(MORNING))
    person.house.clock.set(MORNING + hours(1))
    await person.owes(name="王芳", as_of=MORNING + hours(1))
    await person.tell(contacts(MORNING, name=NAME), reminder_due(at=MORNING + hours(1)))
    (message,) = await person.messages()
    assert "王芳" in message["text"]
