"""Handles: small ints that stand for what is open."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Table(Generic[T]):
    """Gives each entry the lowest number that is free, so that the numbers stay small."""

    def __init__(self) -> None:
        self._entries: dict[int, T] = {}
        self._free: list[int] = []

    def next(self) -> int:
        """The handle that the next `put` gives."""
        return self._free[0] if self._free else len(self._entries)

    def put(self, entry: T) -> int:
        handle = heapq.heappop(self._free) if self._free else len(self._entries)
        self._entries[handle] = entry
        return handle

    def get(self, handle: int) -> T:
        """Raises ValueError for a handle that is not open."""
        entry = self._entries.get(handle)
        if entry is None:
            raise ValueError("the handle is not open")
        return entry

    def find(self, handle: int) -> T | None:
        return self._entries.get(handle)

    def pop(self, handle: int) -> T:
        entry = self.get(handle)
        del self._entries[handle]
        heapq.heappush(self._free, handle)
        return entry
