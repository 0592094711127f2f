"""FastStream with batch=True: up to 500 messages a call, statements over the batch, one commit, published after it.

    python -m benchmarks.peers.faststream_batch DATABASE_URL BOOTSTRAP TOPIC_IN TOPIC_OUT

It has no outbox either (see `faststream_one`).
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import SQLModel, col

from benchmarks.peers.messages import Snapshot
from benchmarks.peers.models import AccountState, Inbox, values


async def run(url: str, bootstrap: str, topic_in: str, topic_out: str) -> None:
    """Hop until stopped."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=4)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    broker = KafkaBroker(bootstrap, acks="all", enable_idempotence=True, logger=None, linger_ms=5)

    @broker.subscriber(
        topic_in,
        group_id=topic_in,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=500,
        batch_timeout_ms=100,
    )  # type: ignore[untyped-decorator, unused-ignore]  # FastStream lives in another venv
    async def handle(batch: list[Snapshot], message: KafkaMessage) -> None:
        ids = [headers["ce_id"] for headers in message.batch_headers]
        async with sessions() as session, session.begin():
            rows = [{"event_id": event_id} for event_id in ids]
            new = await session.execute(insert(Inbox).on_conflict_do_nothing().returning(col(Inbox.event_id)), rows)
            fresh = set(new.scalars())
            taken = [each for each, event_id in zip(batch, ids, strict=True) if event_id in fresh]
            if taken:
                await _save(session, taken)
        answers = [
            await broker.publish(
                each, topic_out, key=each.customer_id.encode(), headers={"ce_id": str(uuid4())}, no_confirm=True
            )
            for each in taken
        ]
        await asyncio.gather(*answers)

    await FastStream(broker, logger=None).run()


async def _save(session: AsyncSession, taken: list[Snapshot]) -> None:
    known = await session.execute(
        select(col(AccountState.account_id), col(AccountState.version)).where(
            col(AccountState.account_id).in_([each.account_id for each in taken])
        )
    )
    versions = dict(known.all())
    rows = [{"account_id": each.account_id, **values(each, versions.get(each.account_id, 0) + 1)} for each in taken]
    upsert = insert(AccountState)
    changed = {name: upsert.excluded[name] for name in rows[0] if name != "account_id"}
    await session.execute(upsert.on_conflict_do_update(index_elements=["account_id"], set_=changed), rows)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:5]))
