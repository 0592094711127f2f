"""Reminders to customers, end to end: sent once, in time, to whom it may be; else not at all, and why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from services.notify import sending
from shared.bus import barrier
from shared.events.card import PaymentPosted, StopSet
from shared.events.cases import CaseClosed
from shared.events.notices import CustomerOptedOut, NoticeFailed, NoticeSent, NoticeSuppressed, NoticeUnconfirmed
from shared.web.auth import Role
from tests.integration.notify.conftest import TRACE, Person, at_night, told, until
from tests.unit.notify.build import MORNING, case_account, contacts, hours, overdue, payment, reminder_due


async def test_a_reminder_goes_out_once_by_short_message_and_says_so(person: Person) -> None:
    await person.owes()
    await person.tell(reminder_due(), reminder_due())
    (message,) = await person.messages()
    assert message["text"].startswith("【示例银行】张三您好")
    assert "¥1,234.56" in message["text"]
    assert "2026年2月28日" in message["text"]
    notice = await person.notice()
    assert (notice["state"], notice["attempts"], notice["address"]) == (
        "sent",
        1,
        f"{person.mobile[:6]}****{person.mobile[-4:]}",
    )
    ((trace, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeSent)
    assert (fact.notice_id, fact.template, fact.sent_at) == (notice["notice_id"], "reminder_first", MORNING)
    assert trace == TRACE.split("-")[1]
    assert fact.barrier_at is not None
    assert abs(datetime.now(UTC) - fact.barrier_at) < timedelta(minutes=2)


async def test_a_reminder_by_email_carries_the_notices_id_and_how_to_refuse(person: Person) -> None:
    await person.owes()
    await person.tell(reminder_due("email"))
    (mail,) = await person.mails()
    notice = await person.notice()
    assert mail["subject"] == "示例银行信用卡中心：信用卡账户提示"
    assert mail["headers"]["Message-ID"] == f"<{notice['notice_id']}@bank.example>"
    assert "不再使用此渠道" in mail["text"]


async def test_the_amount_is_what_is_owed_when_it_leaves(person: Person) -> None:
    await person.owes()
    await person.tell(payment(23_456), reminder_due())
    (message,) = await person.messages()
    assert "¥1,000.00" in message["text"]


async def test_an_english_speaker_is_written_to_in_english(person: Person) -> None:
    await person.owes(language="en", name="Li Lei")
    await person.tell(reminder_due())
    (message,) = await person.messages()
    assert message["text"].startswith("[Example Bank] Dear Li Lei")


async def test_the_night_waits_for_the_morning(person: Person) -> None:
    await person.owes()
    morning = at_night(person.house)
    await person.tell(reminder_due(at=person.house.clock.now()))
    waiting = await person.notice()
    assert (waiting["state"], waiting["reason"]["code"]) == ("waiting", "cn-card.night")
    assert datetime.fromisoformat(waiting["due"]) == morning
    assert (await person.house.bus.idle()).next_due == morning
    assert await person.messages() == []
    person.house.clock.set(morning)
    await person.house.settled()
    assert (await person.notice())["state"] == "sent"
    assert len(await person.messages()) == 1


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (StopSet(customer_id="C1", kind="dispute", set_at=MORNING), "house.stop_dispute"),
        (payment(), "paid"),
        (CaseClosed(case_id="K1", customer_id="C1", reason="paid", closed_at=MORNING), "case_closed"),
        (contacts(MORNING + timedelta(hours=1), refused_channels=("sms",), phones=()), "no_address"),
    ],
    ids=["stop", "payment", "closed", "contacts"],
)
async def test_what_ends_a_waiting_reminder_suppresses_it_at_once(
    person: Person, ending: PaymentPosted | StopSet | CaseClosed, code: str
) -> None:
    await person.owes()
    morning = at_night(person.house)
    await person.tell(reminder_due(at=person.house.clock.now()))
    await person.tell(ending)
    assert (await person.notice())["state"] == "suppressed"
    assert (await person.notice())["reason"]["code"] == code
    person.house.clock.set(morning)
    await person.house.settled()
    assert await person.messages() == []
    ((_, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeSuppressed)
    assert fact.reason.code == code


async def test_a_stop_that_came_before_everything_else_holds(person: Person) -> None:
    await person.tell(StopSet(customer_id="C1", kind="deceased", set_at=MORNING))
    await person.owes()
    await person.tell(reminder_due())
    assert (await person.notice())["reason"]["code"] == "house.stop_deceased"


async def test_contact_data_that_come_late_let_the_reminder_leave(person: Person) -> None:
    await person.tell(overdue(), reminder_due())
    assert (await person.notice())["reason"]["code"] == "contacts_awaited"
    await person.owes()
    assert (await person.notice())["state"] == "sent"
    assert len(await person.messages()) == 1


async def test_an_opt_out_is_answered_with_its_instant_and_ends_what_waits(person: Person) -> None:
    await person.owes()
    at_night(person.house)
    await person.tell(reminder_due(at=person.house.clock.now()))
    before = datetime.now(UTC)
    answer = await person.house.post("/v1/opt-outs", {"customer_id": person.id, "channel": "sms"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "published"
    assert datetime.fromisoformat(answer.json()["effective_at"]) >= before + timedelta(seconds=15)
    await person.house.settled()
    assert (await person.notice())["reason"]["code"] == "house.refused_medium"
    again = await person.house.post("/v1/opt-outs", {"customer_id": person.id, "channel": "sms"}, Role.UPSTREAM)
    assert again.status_code == 200
    facts = [fact for _, fact in await told(person.house.stage, person.id)]
    assert [type(fact) for fact in facts] == [CustomerOptedOut, NoticeSuppressed]


async def test_a_number_that_the_centre_refuses_fails_and_is_not_tried_again(person: Person) -> None:
    await person.house.behave("sms", reject={person.mobile.removeprefix("+"): 11})
    await person.owes()
    await person.tell(reminder_due())
    notice = await person.notice()
    assert (notice["state"], notice["reason"]["code"]) == ("failed", "smpp_11")
    ((_, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeFailed)
    assert fact.code == "smpp_11"


async def test_a_busy_centre_is_tried_again_behind_a_new_barrier(person: Person) -> None:
    await person.house.behave("sms", reject={person.mobile.removeprefix("+"): 88})
    await person.owes()
    await person.house.tell(person.mine(reminder_due()))
    await _until_reason(person, "smpp_88")
    await person.house.behave("sms")
    await person.house.settled()
    notice = await person.notice()
    assert (notice["state"], notice["attempts"]) == ("sent", 2)
    assert len(await person.messages()) == 1


async def test_a_stop_while_the_centre_is_busy_ends_it(person: Person) -> None:
    await person.house.behave("sms", reject={person.mobile.removeprefix("+"): 88})
    await person.owes()
    await person.house.tell(person.mine(reminder_due()))
    await _until_reason(person, "smpp_88")
    await person.tell(StopSet(customer_id="C1", kind="complaint", set_at=MORNING))
    await person.house.behave("sms")
    assert (await person.notice())["state"] == "suppressed"
    assert await person.messages() == []


async def _refused_for_now(person: Person) -> str:
    """Have a mail refused for now, and return the barrier behind which it was tried."""
    await person.house.behave("mail", refuse={person.mailbox: 451})
    await person.owes()
    await person.house.tell(person.mine(reminder_due("email")))

    async def met() -> bool:
        return any((each["reason"] or {}).get("code") == "smtp_451" for each in await person.notices())

    await until(met)
    return str((await person.notice())["barrier_at"])


async def test_a_mail_that_is_refused_for_now_is_tried_again_behind_a_new_barrier(person: Person) -> None:
    before = await _refused_for_now(person)
    await person.house.behave("mail")
    await person.house.settled()
    notice = await person.notice()
    assert (notice["state"], notice["attempts"]) == ("sent", 2)
    assert notice["barrier_at"] > before
    assert len(await person.mails()) == 1


async def test_a_stop_while_the_mail_server_is_busy_ends_it(person: Person) -> None:
    await _refused_for_now(person)
    await person.tell(StopSet(customer_id="C1", kind="complaint", set_at=MORNING))
    await person.house.behave("mail")
    await person.house.settled()
    assert (await person.notice())["state"] == "suppressed"
    assert await person.mails() == []


async def test_an_address_that_is_refused_for_good_is_not_used_until_the_bank_changes_it(person: Person) -> None:
    """Seen to fail with refusals that leave no mark: the second reminder was tried as well."""
    house = person.house
    await house.behave("mail", refuse={person.mailbox: 550})
    await person.owes()
    await person.tell(reminder_due("email"))
    await person.tell(structs.replace(reminder_due("email"), reminder_id="R2"))
    ends = {notice["state"]: notice["reason"]["code"] for notice in await person.notices()}
    assert ends == {"failed": "smtp_550", "suppressed": "address_refused"}
    (shown,) = (await house.get(f"/v1/refused-addresses?customer_id={person.id}")).json()["items"]
    (address,) = shown["addresses"]
    assert (address["channel"], address["code"]) == ("email", "smtp_550")
    assert person.mailbox not in address["address"]
    facts = [fact for _, fact in await told(house.stage, person.id)]
    assert [type(fact) for fact in facts] == [NoticeFailed, NoticeSuppressed]

    fresh = f"new-{person.mailbox}"
    await person.tell(contacts(MORNING + hours(1), emails=(fresh,)))
    assert (await house.get(f"/v1/refused-addresses?customer_id={person.id}")).json()["items"] == []
    await person.tell(structs.replace(reminder_due("email"), reminder_id="R3"))
    assert len(await house.caught("mail", fresh)) == 1
    assert await person.mails() == []


async def test_a_customer_whose_first_mailbox_is_refused_for_good_is_written_to_at_the_next_behind_a_new_barrier(
    person: Person,
) -> None:
    """Seen to fail with a refused address that ends the notice whatever else the customer has."""
    house, other = person.house, f"work-{person.mailbox}"
    await house.behave("mail", refuse={person.mailbox: 550})
    await person.owes(emails=(person.mailbox, other))
    await person.tell(reminder_due("email"))
    notice = await person.notice()
    assert (notice["state"], notice["attempts"]) == ("sent", 2)
    assert len(await house.caught("mail", other)) == 1
    assert [type(fact) for _, fact in await told(house.stage, person.id)] == [NoticeSent]


async def test_a_lost_answer_is_unconfirmed_shown_and_never_sent_again(person: Person) -> None:
    await person.house.behave("mail", drop_answer=[person.mailbox])
    await person.owes()
    await person.tell(reminder_due("email"))
    await person.house.behave("mail")
    await person.house.settled()
    notice = await person.notice()
    assert (notice["state"], notice["reason"]["code"]) == ("unconfirmed", "no_answer")
    open_ones = (await person.house.get("/v1/notices?state=unconfirmed")).json()["items"]
    assert notice["notice_id"] in [each["notice_id"] for each in open_ones]
    ((_, fact),) = await told(person.house.stage, person.id)
    assert isinstance(fact, NoticeUnconfirmed)
    assert len(await person.mails()) == 1


async def test_a_template_that_nobody_approved_fails(person: Person) -> None:
    await person.owes()
    await person.tell(structs.replace(reminder_due(), template="reminder_tenth"))
    assert (await person.notice())["reason"]["code"] == "template_unknown"


async def test_a_customer_with_an_open_dead_letter_is_left_alone(person: Person) -> None:
    await person.owes()
    await person.house.tell(person.mine(structs.replace(overdue(), currency="USD")), person.mine(reminder_due()))
    await _until_reason(person, "dead_letter_open")
    assert await person.messages() == []
    async with person.house.bus.reading() as connection:
        await connection.execute("UPDATE dead_letter SET state = 'resolved' WHERE key = $1", person.id)
        await connection.execute("UPDATE notice SET retry_at = NULL WHERE customer_id = $1", person.id)
    await person.house.settled()
    assert (await person.notice())["state"] == "sent"


async def test_behind_a_stream_that_stands_still_nothing_leaves(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does not cover a broker that is away: then the log's ends are unknown, with the same effect."""
    monkeypatch.setattr(barrier, "_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(sending, "_BLOCKED_SECONDS", 0.2)
    await person.owes()
    partition = person.house.bus.partition_of(person.id)
    async with person.house.bus.reading() as connection:
        position = "UPDATE inbox_position SET state = $2 WHERE topic = 'card' AND partition = $1"
        await connection.execute(position, partition, "stopped")
        await person.house.tell(person.mine(reminder_due()))
        await _until_noticed(person)
        assert await person.messages() == []
        assert (await person.notice())["state"] == "due"
        await connection.execute(position, partition, "running")
    await person.house.settled()
    assert (await person.notice())["state"] == "sent"


async def test_a_dead_fact_of_nobody_knows_whom_holds_back_its_whole_partition(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_BLOCKED_SECONDS", 0.2)
    await person.owes()
    partition = person.house.bus.partition_of(person.id)
    async with person.house.bus.reading() as connection:
        await connection.execute(
            """
            INSERT INTO dead_letter (id, topic, partition, log_offset, sequence, headers, code, detail, step, attempts,
                failed_at, state)
            VALUES (gen_random_uuid(), 'card', $1, 0, 1, '[]', 'unreadable', '', 'decode', 1, now(), 'open')
            """,
            partition,
        )
        await person.house.tell(person.mine(reminder_due()))
        await _until_noticed(person)
        await asyncio.sleep(0.5)
        assert (await person.notice())["state"] == "due"
        await connection.execute("UPDATE dead_letter SET state = 'resolved' WHERE code = 'unreadable'")
    await person.house.settled()
    assert (await person.notice())["state"] == "sent"


async def test_every_currency_is_named(person: Person) -> None:
    await person.owes()
    await person.tell(overdue("A2", 500, "USD"), reminder_due("sms", case_account(), case_account("A2", "USD", 500)))
    (message,) = await person.messages()
    assert "¥1,234.56" in message["text"]
    assert "US$5.00" in message["text"]


async def _until_reason(person: Person, code: str) -> None:
    async def met() -> bool:
        return any((each["reason"] or {}).get("code") == code for each in await person.notices())

    await until(met)


async def _until_noticed(person: Person) -> None:
    async def met() -> bool:
        return bool(await person.notices())

    await until(met)
