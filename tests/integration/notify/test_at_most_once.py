"""At most once to a customer, whatever dies between the steps and however many senders run at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import pytest

from services.notify.app import make_gateways
from services.notify.channels.gateway import Gateway
from services.notify.domain.decision import Policy
from services.notify.domain.delivery import Answer, Message
from services.notify.domain.folds import FOLDS
from services.notify.hand_over import Answered, Claimed, Hands
from services.notify.rendering import load_issuer, load_templates, load_words
from services.notify.sending import Senders
from services.notify.store import customers, notices
from services.notify.timers import give_up_lost
from services.notify.writing import Writer
from shared.bus import barrier
from shared.bus.bus import Bus
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import CommitUnknown
from shared.events.card import StopSet
from shared.events.kinds import MessageChannel
from shared.events.notices import NoticeUnconfirmed
from shared.rules.rulebook import rulebook
from tests.integration.notify.conftest import House, Person, told, until
from tests.unit.notify.build import MORNING, reminder_due

T = TypeVar("T")


class Died(BaseException):
    """The process ended here. Not an Exception: nothing of the process may go on."""


@dataclass(frozen=True, slots=True)
class DiesBeforeHandOver(Hands):
    """A process that ends after it took notices in hand, before the first was handed over."""

    async def hand_over(self, bus: Bus, claimed: Sequence[Claimed], deadline: float | None) -> None:
        raise Died


@dataclass(frozen=True, slots=True)
class DiesBeforeWrite(Hands):
    """A process that ends after the hand-over, before the answer was written."""

    async def write(self, bus: Bus, answered: Sequence[Answered]) -> None:
        raise Died


@dataclass
class Through:
    """A gateway that hands on to another one."""

    inner: Gateway

    async def start(self) -> None:
        await self.inner.start()

    async def stop(self) -> None:
        await self.inner.stop()

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        return await self.inner.hand_over(message, deadline)


@dataclass
class Slow(Through):
    """A gateway that lets a test do something between the decision and the hand-over."""

    meanwhile: Callable[[], Awaitable[None]]
    seen: list[Message] = field(default_factory=list)

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        await self.meanwhile()
        self.seen.append(message)
        return await self.inner.hand_over(message, deadline)


@asynccontextmanager
async def quiet(house: House) -> AsyncIterator[None]:
    """Keep the running service's own senders from acting: its partitions' barriers count as closed."""
    senders = house.app.state.senders
    senders.closed.update(dict.fromkeys(range(house.stage.partitions), float("inf")))
    try:
        yield
    finally:
        senders.closed.clear()


def senders(house: House, hands: Hands) -> Senders:
    """The senders of another process on the same database."""
    issuer = load_issuer()
    writer = Writer(load_templates(issuer), issuer, load_words())
    return Senders(hands=hands, writer=writer, policy=Policy(rulebook(), issuer.time_zone))


@asynccontextmanager
async def gateways(house: House) -> AsyncIterator[Mapping[MessageChannel, Gateway]]:
    """Real gateways of another process."""
    made = make_gateways(house.settings, load_issuer())
    async with AsyncExitStack() as exits:
        for gateway in made.values():
            await gateway.start()
            exits.push_async_callback(gateway.stop)
        await until(lambda: _connected(made["sms"]))
        yield made


async def _connected(gateway: Gateway) -> bool:
    return bool(getattr(gateway, "connected", True))


async def due(*people: Person, channel: MessageChannel = "sms") -> None:
    """Have reminders due of which nobody has taken notice yet."""
    for person in people:
        await person.owes()
    for person in people:
        await person.house.tell(person.mine(reminder_due(channel)))

    async def there() -> bool:
        return all([await person.notices() for person in people])

    await until(there)


async def swept(house: House, timer: Timer) -> int:
    return await timer.round(house.bus)


async def reached(person: Person) -> int:
    """How many messages and mails reached the customer."""
    return len(await person.messages()) + len(await person.mails())


@pytest.mark.parametrize("channel", ["sms", "email"])
@pytest.mark.parametrize("dies", [DiesBeforeHandOver, DiesBeforeWrite])
async def test_killed_while_handing_over_is_unconfirmed_after_the_restart_and_not_sent_again(
    person: Person, dies: type[Hands], channel: MessageChannel
) -> None:
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person, channel=channel)
        with pytest.raises(Died):
            await senders(house, dies(real, "7/first")).to_customers(house.bus)
        left = await reached(person)
        assert left == (1 if dies is DiesBeforeWrite else 0)
        assert (await person.notice())["state"] == "sending"
        assert await swept(house, give_up_lost("8/other")) == 0
        assert await swept(house, give_up_lost("7/second")) == 1
    await house.settled()
    assert (await person.notice())["state"] == "unconfirmed"
    assert await reached(person) == left
    facts = [fact for _, fact in await told(house.stage, person.id)]
    assert [type(fact) for fact in facts] == [NoticeUnconfirmed]


async def test_another_replicas_hand_over_is_given_up_only_when_its_lease_is_over(person: Person) -> None:
    house = person.house
    async with quiet(house):
        await due(person)
        with pytest.raises(Died):
            await senders(house, DiesBeforeHandOver({}, "7/first")).to_customers(house.bus)
        assert await swept(house, give_up_lost("8/other")) == 0
        async with house.bus.reading() as connection:
            lease = "UPDATE notice SET lease_until = clock_timestamp() WHERE customer_id = $1"
            await connection.execute(lease, person.id)
        assert await swept(house, give_up_lost("8/other")) == 1
    assert (await person.notice())["state"] == "unconfirmed"


async def test_a_process_whose_hand_over_was_given_up_does_not_change_what_was_said(person: Person) -> None:
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)

        async def given_up() -> None:
            await swept(house, give_up_lost("7/second"))

        slow = Slow(real["sms"], given_up)
        await senders(house, Hands({"sms": slow, "email": slow}, "7/first")).to_customers(house.bus)
    assert len(slow.seen) == 1
    assert (await person.notice())["state"] == "unconfirmed"
    facts = [fact for _, fact in await told(house.stage, person.id)]
    assert [type(fact) for fact in facts] == [NoticeUnconfirmed]


async def test_many_senders_at_once_send_each_reminder_once(house: House) -> None:
    people = [Person(house, 10_000 + number) for number in range(12)]
    async with quiet(house), gateways(house) as real:
        await due(*people)
        others = [senders(house, Hands(real, f"{number}/x")) for number in range(4)]
        counts = await asyncio.gather(*(each.to_customers(house.bus) for _ in range(3) for each in others))
    await house.settled()
    assert [len(await each.messages()) for each in people] == [1] * len(people)
    assert sum(counts) == len(people)


async def test_behind_a_stop_that_is_published_and_not_read_yet_nothing_leaves(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading is held up by whoever has its row; the barrier gives up, and the notice stays due."""
    monkeypatch.setattr(barrier, "_WAIT_SECONDS", 0.3)
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)
        held = "SELECT FROM inbox_position WHERE topic = 'card' AND partition = $1 FOR UPDATE"
        async with house.bus.reading() as connection, connection.transaction():
            await connection.fetch(held, house.bus.partition_of(person.id))
            ingest = house.writers["ingest"]
            uow = await ingest.transact(partial(_stop, person))
            assert await ingest.published(uow.appended) is not None
            sent = await senders(house, Hands(real, "7/first")).to_customers(house.bus)
            assert sent == 0
    await house.settled()
    assert (await person.notice())["reason"]["code"] == "house.stop_dispute"
    assert await reached(person) == 0


async def _stop(person: Person, uow: UnitOfWork) -> UnitOfWork:
    uow.emit(person.mine(StopSet(customer_id="C1", kind="dispute", set_at=MORNING)))
    return uow


async def test_a_stop_that_was_read_after_a_reminder_fell_due_ends_it(person: Person) -> None:
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)
        ingest = house.writers["ingest"]
        uow = await ingest.transact(partial(_stop, person))
        assert await ingest.published(uow.appended) is not None  # so the barrier opens when it has been read
        assert await senders(house, Hands(real, "7/first")).to_customers(house.bus) == 1
    assert (await person.notice())["state"] == "suppressed"
    assert await reached(person) == 0


async def test_a_customer_who_is_just_being_changed_is_passed_over_and_decided_afterwards(person: Person) -> None:
    """What is about to be known of him is not known to anybody else before its COMMIT."""
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)
        other = senders(house, Hands(real, "7/first"))
        async with house.bus.reading() as connection, connection.transaction():
            held = (await customers.load(connection, [person.id]))[person.id]
            stopped = FOLDS[StopSet](held.customer, StopSet(customer_id=person.id, kind="dispute", set_at=MORNING))
            await customers.save(connection, {person.id: (held, stopped)})
            assert await other.to_customers(house.bus) == 0
        assert await other.to_customers(house.bus) == 1
    assert (await person.notice())["reason"]["code"] == "house.stop_dispute"
    assert await reached(person) == 0


class Forgetful:
    """A bus whose first commit is stored but not answered."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._answers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def transact(self, act: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        result = await self._bus.transact(act)
        if not self._answers:
            self._answers = True
            raise CommitUnknown("the answer to COMMIT was lost")
        return result


async def test_when_the_claims_commit_is_unknown_nothing_is_handed_over_and_the_notice_is_due_again(
    person: Person,
) -> None:
    house = person.house
    async with quiet(house):
        await due(person)
        with pytest.raises(CommitUnknown):
            await senders(house, Hands({}, "7/first")).to_customers(cast("Bus", Forgetful(house.bus)))
        assert (await person.notice())["state"] == "due"
        assert await person.messages() == []
    await house.settled()
    assert (await person.notice())["state"] == "sent"


async def test_what_is_decided_but_too_late_goes_back_and_leaves_behind_a_new_barrier(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = person.house
    async with quiet(house), gateways(house) as real:
        await due(person)
        monkeypatch.setattr("services.notify.sending.LEAVE_SECONDS", 0.0)
        await senders(house, Hands(real, "7/first")).to_customers(house.bus)
        notice = await person.notice()
        assert (notice["state"], notice["reason"]["code"]) == ("due", "too_late")
        assert await person.messages() == []
        monkeypatch.undo()
    await house.settled()
    assert (await person.notice())["state"] == "sent"
    assert len(await person.messages()) == 1


async def test_a_reminder_in_hand_counts_as_a_contact(person: Person) -> None:
    house = person.house
    async with quiet(house):
        await due(person)
        with pytest.raises(Died):
            await senders(house, DiesBeforeHandOver({}, "7/first")).to_customers(house.bus)
        async with house.bus.reading() as connection:
            made = await notices.messages(connection, [person.id], house.clock.now())
    assert [(channel, address) for _, channel, address in made[person.id]] == [("sms", person.mobile)]
    await swept(house, give_up_lost("7/second"))


async def test_stopped_in_the_middle_what_has_begun_is_still_answered_and_written(person: Person) -> None:
    house = person.house
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    async with quiet(house), gateways(house) as real:
        await due(person)
        slow = Slow(real["sms"], wait)
        round_ = asyncio.create_task(senders(house, Hands({"sms": slow}, "7/first")).to_customers(house.bus))
        await begun.wait()
        round_.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await round_
        assert (await person.notice())["state"] == "sent"
    assert len(await person.messages()) == 1
