"""An address that a gateway refuses for good: it is marked, and the message goes to the customer's next one, if any."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from services.notify.domain.decision import usable_address
from services.notify.domain.delivery import NotNow, RefusedForGood
from services.notify.domain.folds import address_refused
from services.notify.domain.model import Customer
from services.notify.domain.notices import Notice
from services.notify.store import customers
from shared.bus.unit_of_work import UnitOfWork


class Refused(Struct, frozen=True):
    """A notice to a customer whose address was refused for good; it has surely not left."""

    notice: Notice
    customer_id: str
    answer: RefusedForGood


async def mark(uow: UnitOfWork, refused: Sequence[Refused]) -> dict[str, NotNow]:
    """Have the addresses not be used again until the contact data change.

    Returns by notice id those that are due again, since the customer has another address: they pass a new barrier and
    every rule, as whatever has not left does.
    """
    if not refused:
        return {}
    held = await customers.load(uow.connection, {each.customer_id for each in refused})
    after = {key: each.customer for key, each in held.items()}
    for each in refused:
        after[each.customer_id] = address_refused(
            after[each.customer_id], each.notice.channel, each.answer.address, each.answer.code, uow.now
        )
    changed = {key: (each, after[key]) for key, each in held.items() if after[key] is not each.customer}
    await customers.save(uow.connection, changed)
    return {
        each.notice.notice_id: NotNow(each.answer.code)
        for each in refused
        if _has_another(after[each.customer_id], each.notice)
    }


def _has_another(customer: Customer, notice: Notice) -> bool:
    reach = customer.reach
    return reach is not None and usable_address(customer, reach, notice.channel) is not None
