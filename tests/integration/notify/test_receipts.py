"""What the network says after a message has left lands on its notice, and never makes it be sent again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import pytest

from services.notify.channels.receiving import Delivered, ReceiptBox
from services.notify.domain.delivery import Accepted, Answer, Message
from services.notify.domain.receipts import Receipt, Word, delivery_of
from services.notify.hand_over import Hands
from services.notify.receipts import receipts_timer
from services.notify.store import receipts as store
from services.notify.store.receipts import LeftPart
from shared.events.notices import NoticeDelivered, NoticeSent, NoticeUndelivered
from tests.integration.notify.conftest import House, Person, told, until
from tests.integration.notify.test_at_most_once import Through, due, gateways, quiet, senders
from tests.unit.notify.build import reminder_due


async def settled(person: Person) -> dict[str, Any]:
    """Wait until the receipts have said what became of the customer's only notice, and return it."""

    async def met() -> bool:
        return (await person.notice())["delivery"] is not None

    await until(met)
    await person.house.settled()
    return await person.notice()


async def receipts(person: Person) -> int:
    """How many parts of the customer's messages have a receipt."""
    counted = "SELECT count(word) FROM sms_part JOIN notice USING (notice_id) WHERE customer_id = $1"
    async with person.house.bus.reading() as connection:
        return int(await connection.fetchval(counted, person.id))


async def written_to(person: Person, receipt: str, way: str | None = None) -> None:
    """Have the customer written to, and the centre say this of it."""
    number = person.mobile.removeprefix("+")
    ways = {} if way is None else {number: way}
    await person.house.behave("sms", receipts={"*": "NONE", number: receipt}, receipt_ways=ways)
    await person.owes()
    await person.tell(reminder_due())


@pytest.mark.parametrize("way", [None, "before", "twice"])
async def test_a_long_message_is_delivered_once_all_its_parts_are_however_the_receipts_come(
    person: Person, way: str | None
) -> None:
    """Whether a receipt or the answer is stored first is left to chance here."""
    await written_to(person, "DELIVRD", way)
    notice = await settled(person)
    (message,) = await person.messages()
    assert len(message["message_ids"]) > 1
    assert (notice["state"], notice["delivery"], notice["reason"], notice["gateway"]) == (
        "sent",
        "delivered",
        None,
        "first",
    )
    facts = [fact for _, fact in await told(person.house.stage, person.id)]
    assert [type(fact) for fact in facts] == [NoticeSent, NoticeDelivered]
    assert isinstance(facts[1], NoticeDelivered)
    assert facts[1].parts == len(message["message_ids"])


async def test_a_message_of_which_one_part_has_no_receipt_is_not_called_delivered(person: Person) -> None:
    """Seen to fail with the first part's receipt taken for the message's."""
    await written_to(person, "DELIVRD,NONE,DELIVRD")
    (message,) = await person.messages()

    async def met() -> bool:
        return await receipts(person) == len(message["message_ids"]) - 1

    await until(met)
    await person.house.settled()
    assert (await person.notice())["delivery"] is None


async def test_a_message_that_did_not_arrive_is_said_to_a_person_and_not_sent_again(person: Person) -> None:
    await written_to(person, "DELIVRD,UNDELIV,DELIVRD")
    notice = await settled(person)
    assert (notice["state"], notice["delivery"], notice["reason"]["code"], notice["attempts"]) == (
        "sent",
        "undelivered",
        "receipt_undeliv",
        1,
    )
    shown = (await person.house.get(f"/v1/notices?delivery=undelivered&customer_id={person.id}")).json()["items"]
    assert [each["notice_id"] for each in shown] == [notice["notice_id"]]
    parts = (await person.house.get(f"/v1/notices/{notice['notice_id']}")).json()["parts"]
    (message,) = await person.messages()
    assert [part["message_id"] for part in parts] == message["message_ids"]
    assert [part["receipt"] for part in parts][:2] == ["DELIVRD", "UNDELIV"]
    facts = [fact for _, fact in await told(person.house.stage, person.id)]
    assert [type(fact) for fact in facts] == [NoticeSent, NoticeUndelivered]
    assert len(await person.messages()) == 1


@dataclass
class Held(Through):
    """A gateway whose answer is kept back until the receipts of all parts are stored."""

    person: Person

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        answer = await self.inner.hand_over(message, deadline)
        (arrived,) = await self.person.messages()
        stored = "SELECT count(word) FROM sms_part WHERE message_id = ANY ($1)"

        async def met() -> bool:
            async with self.person.house.bus.reading() as connection:
                return bool(await connection.fetchval(stored, arrived["message_ids"]) == len(arrived["message_ids"]))

        await until(met)
        return answer


async def test_receipts_that_another_replica_stored_before_the_answer_was_written_land_on_the_notice(
    person: Person,
) -> None:
    """Seen to fail with parts that do not look for receipts that are there."""
    house = person.house
    number = person.mobile.removeprefix("+")
    async with quiet(house), gateways(house) as real:
        await house.behave("sms", receipts={number: "DELIVRD"}, receipt_ways={number: "elsewhere"})
        await due(person)
        held = Held(real["sms"], person)
        await senders(house, Hands({"sms": held}, "7/first")).to_customers(house.bus)
    assert (await settled(person))["delivery"] == "delivered"
    facts = [type(fact) for _, fact in await told(house.stage, person.id)]
    assert facts == [NoticeSent, NoticeDelivered]


@dataclass
class Nameless(Through):
    """A gateway that has lost what the centre called the parts that it took, or has it call them all the same."""

    called: str

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        answer = await self.inner.hand_over(message, deadline)
        assert isinstance(answer, Accepted)
        return Accepted(answer.reference, answer.gateway, (self.called,) * len(answer.parts))


@pytest.mark.parametrize("called", ["", "same"])
async def test_a_message_whose_parts_have_no_ids_of_their_own_is_sent_all_the_same(person: Person, called: str) -> None:
    """Seen to fail with every id noted: the row stayed `sending`, and so did all others of its batch."""
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)
        await senders(house, Hands({"sms": Nameless(real["sms"], called)}, "7/first")).to_customers(house.bus)
        notice = await person.notice()
    assert (notice["state"], notice["delivery"]) == ("sent", None)
    assert len(await person.messages()) == 1


async def test_receipts_that_a_dead_process_had_not_stored_are_delivered_again_to_another(person: Person) -> None:
    """Seen to fail with receipts that are confirmed as they come."""
    house = person.house
    async with quiet(house), gateways(house) as real:
        await house.behave("sms")
        await due(person)
        await house.behave("sms", receipts={})
        await senders(house, Hands(real, "7/first")).to_customers(house.bus)
        assert (await person.notice())["delivery"] is None
    assert (await settled(person))["delivery"] == "delivered"


async def test_replicas_that_store_the_last_receipts_of_a_message_at_once_tell_its_delivery_once(house: House) -> None:
    """Seen to fail with parts that are counted without the notice's lock: nobody saw the last one."""
    people = [Person(house, 20_000 + number) for number in range(6)]
    for person in people:
        await person.owes()
    await house.tell(*(person.mine(reminder_due()) for person in people))
    await house.settled()
    sent = [await person.messages() for person in people]
    ids = [message["message_ids"] for (message,) in sent]
    boxes = [
        ReceiptBox([Delivered(Receipt("first", each[place], "DELIVRD"), lambda: None) for each in ids])
        for place in range(max(map(len, ids)))
    ]
    await asyncio.gather(*(receipts_timer([box]).round(house.bus) for box in boxes))
    assert [(await person.notice())["delivery"] for person in people] == ["delivered"] * len(people)
    await house.settled()
    facts = [type(fact) for person in people for _, fact in await told(house.stage, person.id)]
    assert facts == [NoticeSent, NoticeDelivered] * len(people)


WORDS: tuple[Word, ...] = ("DELIVRD", "UNDELIV")


async def test_answer_and_receipts_in_any_order_and_twice_say_the_same(house: House) -> None:
    """In the database, where they meet. Seen to fail with the last word kept."""
    parts = [
        LeftPart(gateway="first", message_id=f"any-{number}", notice_id="n", number=number, total=2)
        for number in (1, 2)
    ]
    async with house.bus.reading() as connection:
        for words in product(WORDS, WORDS, WORDS):
            said = [Receipt("first", f"any-{number}", word) for number, word in zip((1, 2, 2), words, strict=True)]
            expected = "delivered" if words[0] == "DELIVRD" and "DELIVRD" in words[1:] else "undelivered"
            for order in permutations([None, *said]):
                transaction = connection.transaction()
                await transaction.start()
                for each in order:
                    await (store.left(connection, parts) if each is None else store.told(connection, [each]))
                found = await store.parts_of(connection, ["n"])
                await transaction.rollback()
                assert delivery_of(found["n"]) == expected, order
