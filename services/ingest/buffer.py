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

    async def take(self, most: int) -> list[Item]:
        """Return what waits, `most` items at most, as soon as there is any; nothing when it is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or bool(self._items))
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._weight -= sum(weight for _, weight in taken)
            self._changed.notify_all()
            return [item for item, _ in taken]

    async def close(self, *, dropping: bool = False) -> None:
        """Say that nothing more comes. `dropping`: what waits is not wanted any more."""
        async with self._changed:
            self._closed = True
            if dropping:
                self._items.clear()
            self._changed.notify_all()
