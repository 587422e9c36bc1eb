"""The shape of every source: something that is read from one thread."""

from __future__ import annotations

from typing import Protocol, TypeVar

Item_co = TypeVar("Item_co", covariant=True)


class Reader(Protocol[Item_co]):
    """An open source. `name` is for people.

    `period` is the time between two items in seconds, or None for a device that keeps its own pace: its
    `read` waits for the device, at most about half a second, and gives None if nothing came in that time.
    """

    name: str
    period: float | None

    def read(self, now: float) -> Item_co | None:
        """The next item, taken at `now` (monotonic seconds). Raises SourceError if the source is gone."""
        ...

    def close(self) -> None:
        """Let go of the device or file. May be called twice."""
        ...
