"""FastStream, a message a call: one session and one commit each, published after the commit.

    python -m benchmarks.peers.faststream_one DATABASE_URL BOOTSTRAP TOPIC_IN TOPIC_OUT

It has no outbox, so a crash between commit and publication loses a fact; the measure is in its favour there.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import SQLModel, col

from benchmarks.peers.messages import Snapshot
from benchmarks.peers.models import AccountState, Inbox, values


async def run(url: str, bootstrap: str, topic_in: str, topic_out: str) -> None:
    """Hop until stopped."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=4)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    broker = KafkaBroker(bootstrap, acks="all", enable_idempotence=True, logger=None)

    @broker.subscriber(topic_in, group_id=topic_in, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR)  # type: ignore[untyped-decorator, unused-ignore]  # FastStream lives in another venv
    async def handle(snapshot: Snapshot, message: KafkaMessage) -> None:
        async with sessions() as session, session.begin():
            event_id = message.headers["ce_id"]
            new = await session.execute(
                insert(Inbox).values(event_id=event_id).on_conflict_do_nothing().returning(col(Inbox.event_id))
            )
            if new.first() is None:
                return
            state = await session.get(AccountState, snapshot.account_id)
            fields = values(snapshot, (state.version if state else 0) + 1)
            if state is None:
                session.add(AccountState(account_id=snapshot.account_id, **fields))
            else:
                for name, value in fields.items():
                    setattr(state, name, value)
        await broker.publish(snapshot, topic_out, key=snapshot.customer_id.encode(), headers={"ce_id": str(uuid4())})

    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:5]))
