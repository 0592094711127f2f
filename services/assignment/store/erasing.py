"""What assignment keeps of an erased customer beside the customer's own document; that is folded."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from shared.web.idempotency import erase_customers

# A collector's note may hold anything; that there was a contact, when, and what came of it, stays. The timeline names a
# customer's contacts.
_CONTACTS = """
UPDATE contact c SET note = NULL, phone_id = NULL
FROM timeline t
WHERE t.customer_id = ANY ($1) AND t.kind = 'contact' AND c.contact_id = t.data ->> 'contact_id'
    AND (c.note IS NOT NULL OR c.phone_id IS NOT NULL)
"""


async def erase(connection: asyncpg.Connection, customer_ids: Sequence[str]) -> None:
    """Forget what collectors wrote of these customers, on which number they called, and answers that show them."""
    if customer_ids:
        await connection.execute(_CONTACTS, customer_ids)
        await erase_customers(connection, customer_ids)
