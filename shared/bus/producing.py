"""Handing records to Kafka, every wait bounded, and the answer told apart: done, too large, or unknown (P3, P5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from shared.bus import clients
from shared.errors import Permanent, Unknown

Record = tuple[bytes, bytes | None, list[tuple[str, bytes]]]
"""Key, value, headers."""

SEND_SECONDS = 10.0
MAX_BATCH_BYTES = 1 << 20
_BROKEN = (
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    ProducerFenced,
    ProducerClosed,
    IllegalOperation,
    MessageSizeTooLargeError,  # the batch has used up its sequence numbers all the same, so the next would not fit
)
_TIMEOUTS_BEFORE_NEW = 3

_log = logging.getLogger(__name__)


class ProduceUnknown(Unknown):
    """The records may or may not be in the log; the same numbers are sent again."""


class ProduceTooLarge(Permanent):
    """The broker refuses a batch of this size; nothing of it is in the log."""


class Producing:
    """The service's one producer. A producer that got into an impossible state is abandoned for a new one.

    What the abandoned one still delivers late repeats numbers that are sent again anyway.
    """

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._timeouts = 0
        self._gone: asyncio.Future[None]
        self._abandoned: set[asyncio.Task[None]] = set()

    async def send(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """Send a batch to one partition and wait for the acknowledgement; return how many records were in it.

        The batch is cut where the client's batch is full, so fewer records than given may have been sent.

        Raises:
            ProduceUnknown: no answer; the records may be in the log.
            ProduceTooLarge: refused for its size, nothing is in the log.
        """
        producer, gone = await self._get()
        batch = producer.create_batch()
        count = 0
        for key, value, headers in records:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                break
            count += 1
        if count == 0:
            raise ProduceTooLarge("one record does not fit into a batch")
        batch.close()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                acknowledged = await producer.send_batch(batch, topic, partition=partition)
                acknowledged.add_done_callback(_hear)
                await asyncio.wait({acknowledged, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not acknowledged.done():
                    raise ProducerClosed
                acknowledged.result()
        except MessageSizeTooLargeError as error:
            self._judge(producer, error)
            raise ProduceTooLarge(f"{count} records") from error
        except (KafkaError, OSError, TimeoutError) as error:
            self._judge(producer, error)
            raise ProduceUnknown(type(error).__name__) from error
        self._timeouts = 0
        return count

    async def _get(self) -> tuple[AIOKafkaProducer, asyncio.Future[None]]:
        """Return the producer, and what is done when it was given up."""
        async with self._starting:
            if self._producer is None:
                fresh = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="snappy",
                    max_batch_size=MAX_BATCH_BYTES,
                    max_request_size=2 * MAX_BATCH_BYTES,
                    request_timeout_ms=int(SEND_SECONDS * 1000),
                )
                try:
                    await clients.start(fresh.start, fresh.stop)
                except (KafkaError, OSError, TimeoutError) as error:
                    raise ProduceUnknown(type(error).__name__) from error
                self._producer, self._gone = fresh, asyncio.get_running_loop().create_future()
            return self._producer, self._gone

    def _judge(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if self._producer is not producer:
            return
        self._timeouts += 1
        if isinstance(error, _BROKEN) or self._timeouts >= _TIMEOUTS_BEFORE_NEW:
            _log.warning("producer abandoned", extra={"reason": type(error).__name__})
            self._timeouts = 0
            self._producer = None
            self._abandon(producer)

    def _abandon(self, producer: AIOKafkaProducer) -> None:
        self._gone.set_result(None)  # the other streams wait for it no longer
        task = asyncio.get_running_loop().create_task(_retire(producer))
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def stop(self) -> None:
        """Stop within a few seconds, whatever the broker does."""
        if self._producer is not None:
            self._abandon(self._producer)
            self._producer = None
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=5)


def _hear(answer: asyncio.Future[object]) -> None:
    """Take note of an answer that nobody waits for any more, else asyncio would complain of it."""
    if not answer.cancelled():
        answer.exception()


async def _retire(producer: AIOKafkaProducer) -> None:
    """Stop a producer; where it would wait for the broker, end it, else it would try its batches for ever."""
    await clients.stop(producer.stop)
    sender, accumulator = producer._sender.sender_task, producer._message_accumulator  # noqa: SLF001 - no public way
    if sender is None or sender.done():
        return
    sender.cancel()
    await asyncio.wait({sender}, timeout=SEND_SECONDS + 1)  # requests under way end by their own time limit
    await clients.stop(producer.client.close)
    pending = accumulator._pending_batches  # noqa: SLF001 - as above
    for batch in (*chain(*accumulator._batches.values()), *pending):  # noqa: SLF001 - as above
        pending.add(batch)  # where the batch's own callback looks for it
        batch.future.cancel()
