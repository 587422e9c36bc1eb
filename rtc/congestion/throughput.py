"""What came through: the rate at which packets arrived at the other end."""

from __future__ import annotations

from collections import deque
from typing import Final

from rtc.congestion.groups import Group

#: Microseconds over which the acknowledged rate is taken. Longer is calmer; it follows a change as much later.
WINDOW: Final = 500_000
#: The same at the moment of a cut, when what came before the path became narrow must not count.
SHORT_WINDOW: Final = 200_000
#: Microseconds of arrivals before the rate is known at all.
SETTLED: Final = 150_000
#: Microseconds without an arrival after which what came before does not count.
PAUSE: Final = 2_000_000
#: Groups that are kept: 5 ms each over two windows, with room for bursts.
MAX_GROUPS: Final = 400


class Throughput:
    """Keeps (time of arrival, bytes) of groups."""

    def __init__(self) -> None:
        self._groups: deque[tuple[int, int]] = deque(maxlen=MAX_GROUPS)
        self._since = 0

    def add(self, group: Group) -> None:
        """A group that ended. After a pause, or a jump of the clock, it begins anew."""
        groups, arrived = self._groups, group.arrived
        if groups:
            newest = groups[-1][0]
            if abs(arrived - newest) > PAUSE:
                groups.clear()
            arrived = max(arrived, newest)  # overtaken
        if not groups:
            arrived = self._since = group.arrived
        groups.append((arrived, group.size))

    def late(self, size: int) -> None:
        """Bytes that had been called lost and came after all."""
        if self._groups:
            arrived, before = self._groups.pop()
            self._groups.append((arrived, before + size))

    def rate(self, window: int = WINDOW) -> int | None:
        """Bit/s over the last `window` microseconds before the newest arrival; None while too little came.

        From the last arrival before the window on, if it is near: so it is exact where packets come back to back.
        """
        groups = self._groups
        if not groups:
            return None
        newest = groups[-1][0]
        if newest - self._since < SETTLED:
            return None
        begin, size = newest - window, 0
        span = window
        for arrived, bytes_ in reversed(groups):
            if arrived <= begin:
                span = newest - arrived if newest - arrived < 2 * window else window
                break
            size += bytes_
        else:
            span = max(newest - self._since, SETTLED)
            size -= groups[0][1]  # it came before the span began
        return size * 8_000_000 // span
