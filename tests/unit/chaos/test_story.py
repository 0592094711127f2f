from __future__ import annotations

from collections import Counter
from random import Random

from deploy.demo.events import Event
from tests.chaos.story import OPENING, identity_of, person, tell

PEOPLE = [person(3, number) for number in range(200)]


def test_a_customer_follows_from_the_seed_and_the_number_alone() -> None:
    assert person(3, 7) == person(3, 7)
    assert person(3, 7).script != person(4, 7).script


def test_every_event_of_the_workload_has_an_effect_of_its_own() -> None:
    identities = Counter(identity_of(event["type"], event["data"]) for event in _events())
    assert None not in identities
    assert max(identities.values()) == 1


def test_every_event_has_an_id_of_its_own() -> None:
    assert max(Counter(event["id"] for event in _events()).values()) == 1


def test_two_payments_to_one_account_differ_in_amount() -> None:
    """A timeline names a payment by account and amount."""
    for someone in PEOPLE:
        paid = Counter((step.account, step.amount) for step in someone.script if step.do in ("pay", "settle"))
        assert not paid or max(paid.values()) == 1


def test_a_payment_is_taken_back_once_at_most_and_after_it_was_made() -> None:
    for someone in PEOPLE:
        made: set[int] = set()
        for step in someone.script:
            if step.do == "pay":
                made.add(step.number)
            elif step.do == "reverse":
                made.remove(step.number)


def test_who_settles_owes_nothing_again() -> None:
    settling = [someone for someone in PEOPLE if someone.settles]
    assert settling
    for someone in settling:
        assert not {"reverse", "cure"} & {step.do for step in someone.script}
        assert sum(step.do == "report" for step in someone.script) == len(someone.customer.accounts)
        for place, account in enumerate(someone.customer.accounts):
            settled = [step for step in someone.script if step.do == "settle" and step.account == place]
            assert [step.amount >= account.past_due for step in settled] == [True]


def _events() -> list[Event]:
    chance = Random(1)
    steps = [(someone, step) for someone in PEOPLE for step in someone.script]
    told = [tell(someone, step, serial, OPENING, chance) for serial, (someone, step) in enumerate(steps)]
    return [event for event in told if event is not None]
