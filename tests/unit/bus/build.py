"""Small parts of a stream, as the tests of the bus need them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from shared.bus.headers import Headers, Numbers, Packed, to_headers
from shared.bus.streams import Segment
from shared.events.card import PaymentPosted

NOON = datetime(2026, 2, 25, 4, 0, tzinfo=UTC)
SOURCE = "/arrears/ingest"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def payment(customer: str = "c-1", number: int = 1) -> PaymentPosted:
    """A payment of a customer."""
    return PaymentPosted(
        customer_id=customer,
        account_id=f"a-{customer}",
        payment_id=f"p-{number}",
        currency="CNY",
        amount=100,
        valued_at=NOON,
    )


def packed(identity: str = "id-1", *, size: int = 0, cause: str | None = None) -> Packed:
    """A fact as a segment holds it, with a value of `size` bytes (0: a payment)."""
    return Packed(
        id=identity,
        type="arrears.payment.posted.v1",
        time=NOON.isoformat(),
        key="c-1",
        traceparent=TRACE,
        cause_id=cause,
        value=b"x" * size if size else msgspec.json.encode(payment()),
    )


def segment(epoch: int, first: int, count: int, base: tuple[int, int] = (0, 0), *, size: int = 0) -> Segment:
    """A segment of `count` facts, each named after its place."""
    facts = [packed(f"{epoch}:{number}", size=size) for number in range(first, first + count)]
    return Segment("card", 0, epoch, first, base, facts)


def headers(epoch: int = 7, sequence: int = 1, base: tuple[int, int] | None = None) -> list[tuple[str, bytes | None]]:
    """The headers of a payment at this place."""
    return list(to_headers(packed(), SOURCE, Numbers(epoch, sequence, base)))


def changed(found: Headers, name: str, *values: bytes | None) -> list[tuple[str, bytes | None]]:
    """The same headers with `name` standing there once for each of `values`."""
    return [*((key, value) for key, value in found if key != name), *((name, value) for value in values)]
