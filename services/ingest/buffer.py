"""A queue between two tasks that is bounded by the weight of what waits in it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Buffer(Generic[Item]):
    """Holds items in order; who would put more in than `room` waits until some were taken."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._items: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, item: Item, weight: int) -> None:
        """Add an item; one that is heavier than all the room is let in alone. Once closed, it is dropped."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or not self._items or self._weight + weight <= self._room)
            if not self._closed:
                self._items.append((item, weight))
                self._weight += weight
                self._changed.notify_all()

    async def take(self, most: int, weight: int | None = None) -> list[Item]:
        """Return what waits as soon as there is any, `most` items at most; nothing when it is closed and empty.

        `weight`: no more than that, or one item that is heavier.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or bool(self._items))
            taken: list[Item] = []
            left = self._weight if weight is None else weight
            while self._items and len(taken) < most and (not taken or self._items[0][1] <= left):
                item, heavy = self._items.popleft()
                taken.append(item)
                left -= heavy
                self._weight -= heavy
            self._changed.notify_all()
            return taken

    async def close(self, *, dropping: bool = False) -> None:
        """Say that nothing more comes. `dropping`: what waits is not wanted any more."""
        async with self._changed:
            self._closed = True
            if dropping:
                self._items.clear()
            self._changed.notify_all()
