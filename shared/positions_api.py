"""The operators' routes to the positions of a service that reads: what stands still and why, and what to do about it.

No Idempotency-Key is needed: an acceptance names the place at which the stream goes on. Sent again, it finds the stream
running (409), and the acts say who did it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.bus import position_rows
from shared.bus.bus import Bus
from shared.bus.position_rows import ActName, ActRow, Decided, PositionRow
from shared.bus.unit_of_work import UnitOfWork
from shared.dead_letters_api import Operator, Word, Words
from shared.errors import Problem
from shared.events.registry import Topic
from shared.web.problems import unavailable_problem

TopicName = Annotated[Word, Path(description="主题 / the topic", examples=["card"])]
Partition = Annotated[int, Path(ge=0, le=999, description="分区 / the partition number")]
Place = Annotated[str, Field(pattern=r"^[0-9]{1,18}:[0-9]{1,18}$", examples=["1767225600:4"])]


class PositionOut(BaseModel):
    """一个流的读取位置 / how far a stream is read."""

    topic: str
    partition: int
    state: Literal["running", "stopped"]
    reason: str | None = Field(description="停止的原因 / why it is stopped")
    accept: ActName | None = Field(description="可用的处理 / the act that accepts what stopped it")
    next: str | None = Field(description="接受后从何处继续 / where it goes on when that is accepted")
    stopped_at: datetime | None
    position: str = Field(description="纪元:序号 / epoch:sequence")
    offset: int
    at: datetime = Field(description="最近读到末尾的时刻 / when it was last read to the log's end")


class ActOut(BaseModel):
    """对一个流的处理 / what a person decided about a stream."""

    topic: str
    partition: int
    act: ActName
    by: str
    reason: str
    found: str = Field(description="当时停止的原因 / why it stood still")
    old: str
    new: str
    at: datetime


class ForkOut(BaseModel):
    """分叉 / an epoch that went on from `base` although more `had` been taken: what its writer forgot."""

    topic: str
    partition: int
    epoch: int
    base: str
    had: str
    at: datetime


class StaleOut(BaseModel):
    """旧纪元的消息 / what was dropped of an earlier epoch."""

    topic: str
    partition: int
    epoch: int
    first: int
    last: int
    count: int
    first_at: datetime
    last_at: datetime


class PositionsOut(BaseModel):
    """所有位置 / the positions: one for each topic and partition."""

    items: list[PositionOut]


class ActsOut(BaseModel):
    """处理记录，最新的在前 / what was decided, the newest first."""

    items: list[ActOut]


class HistoriesOut(BaseModel):
    """分叉与旧纪元 / forks, and what was dropped of earlier epochs, the newest first."""

    forks: list[ForkOut]
    stale: list[StaleOut]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Words = Field(examples=["备份恢复，已与写入方核对"])


class ResumeBody(_Body):
    """继续读取的原因 / why it is read on."""


class AcceptBody(_Body):
    """接受的位置与原因 / what is accepted, and why."""

    next: Place = Field(description="列表中的 next / `next` as the list shows it")


class SubscribeBody(_Body):
    """从何处开始读取 / where reading begins."""

    origin: Literal["start", "end"] | AwareDatetime = Field(alias="from", examples=["end", "2026-02-25T00:00:00Z"])
    partition: int | None = Field(default=None, ge=0, le=999, description="不填则全部 / all of them when left out")


def position_router(bus: Bus) -> APIRouter:
    """Return the routes to the positions of the service that `bus` belongs to."""
    router = APIRouter(prefix="/v1/positions", tags=["positions"])

    @router.get("")
    async def positions(who: Operator, state: Literal["running", "stopped", "all"] = "all") -> PositionsOut:
        """读取位置 / how far each stream is read, and why one stands still."""
        async with bus.reading() as connection:
            rows = await position_rows.rows(connection, None if state == "all" else state)
        return PositionsOut(items=[_position(row) for row in rows])

    @router.get("/acts")
    async def acts(who: Operator) -> ActsOut:
        """处理记录 / what was decided about positions, and by whom."""
        async with bus.reading() as connection:
            return ActsOut(items=[_act(row) for row in await position_rows.acts(connection)])

    @router.get("/histories")
    async def histories(who: Operator) -> HistoriesOut:
        """分叉与旧纪元 / what writers forgot, and what was dropped of earlier epochs."""
        async with bus.reading() as connection:
            forks, stale = await position_rows.forks(connection), await position_rows.stale(connection)
        return HistoriesOut(
            forks=[
                ForkOut(
                    topic=row.topic,
                    partition=row.partition,
                    epoch=row.epoch,
                    base=f"{row.base_epoch}:{row.base}",
                    had=f"{row.had_epoch}:{row.had}",
                    at=row.at,
                )
                for row in forks
            ],
            stale=[StaleOut(**msgspec.structs.asdict(row)) for row in stale],
        )

    @router.post("/{topic}/{partition}/resume")
    async def resume(who: Operator, topic: TopicName, partition: Partition, body: ResumeBody) -> ActOut:
        """继续读取 / read on from where it stands; it stops again if the cause is still there."""

        async def act(uow: UnitOfWork) -> ActRow | None:
            return await position_rows.resume(uow.connection, (topic, partition), Decided(who.subject, body.reason))

        return _answer(await bus.transact(act))

    @router.post("/{topic}/{partition}/{accepting}")
    async def accept(
        who: Operator,
        topic: TopicName,
        partition: Partition,
        accepting: Literal["accept-gap", "accept-epoch", "accept-fork"],
        body: AcceptBody,
    ) -> ActOut:
        """接受并继续 / go on: behind a gap, with a stream begun anew, or behind a number that was given twice.

        What is missing, or is the second fact of its number, takes no effect in this service.
        """
        epoch, _, sequence = body.next.partition(":")

        async def act(uow: UnitOfWork) -> ActRow | None:
            decided, following = Decided(who.subject, body.reason), (int(epoch), int(sequence))
            return await position_rows.accept(uow.connection, (topic, partition), accepting, following, decided)

        return _answer(await bus.transact(act))

    @router.post("/{topic}/subscribe")
    async def subscribe(who: Operator, topic: TopicName, body: SubscribeBody) -> ActsOut:
        """开始读取 / begin to read a topic; a stopped stream gives up what lies before the place."""
        read = next((each for each in bus.subscriptions if each.name == topic), None)
        if read is None:
            raise Problem("not_found", "本服务不读取该主题。", "This service does not read that topic.")
        return await _subscribe(bus, read, body, who.subject)

    return router


async def _subscribe(bus: Bus, topic: Topic, body: SubscribeBody, by: str) -> ActsOut:
    """Begin each partition asked for, or none of them."""
    wanted = range(bus.partitions) if body.partition is None else [body.partition]
    offsets = dict.fromkeys(wanted, 0)
    if body.origin != "start":
        found = await bus.log_offsets(topic, None if body.origin == "end" else body.origin)
        if found is None:
            raise unavailable_problem()
        offsets = {number: found[number] for number in wanted if number in found}
    if not offsets:
        raise Problem("not_found", "没有这个分区。", "There is no such partition.")

    async def act(uow: UnitOfWork) -> list[ActRow]:
        done = []
        for number, offset in sorted(offsets.items()):
            row = await position_rows.subscribe_from(
                uow.connection, (topic.name, number), offset, Decided(by, body.reason), adopt=body.origin != "start"
            )
            if row is None:
                raise _conflict({"topic": topic.name, "partition": number})
            done.append(row)
        return done

    return ActsOut(items=[_act(row) for row in await bus.transact(act)])


def _answer(row: ActRow | None) -> ActOut:
    if row is None:
        raise _conflict({})
    return _act(row)


def _conflict(extra: dict[str, Any]) -> Problem:
    return Problem(
        "conflict",
        "该流现在的状态不允许此操作；请重新查看位置与处理记录。",
        "The stream does not stand as this act supposes; look at positions and acts again.",
        extra=extra,
    )


def _position(row: PositionRow) -> PositionOut:
    accept = position_rows.ACCEPTS.get((row.reason or "").partition(":")[0])
    return PositionOut(
        topic=row.topic,
        partition=row.partition,
        state=row.state,
        reason=row.reason,
        accept=accept if row.next_epoch is not None else None,
        next=None if row.next_epoch is None else f"{row.next_epoch}:{row.next_sequence}",
        stopped_at=row.stopped_at,
        position=f"{row.epoch}:{row.sequence}",
        offset=row.log_offset,
        at=row.at,
    )


def _act(row: ActRow) -> ActOut:
    return ActOut(
        topic=row.topic,
        partition=row.partition,
        act=row.act,
        by=row.acted_by,
        reason=row.reason,
        found=row.found,
        old=f"{row.old_epoch}:{row.old_sequence}",
        new=f"{row.new_epoch}:{row.new_sequence}",
        at=row.at,
    )
