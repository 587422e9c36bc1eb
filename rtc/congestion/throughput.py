"""What came through: the rate at which packets arrived at the other end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from rtc.observation import Received

#: Microseconds over which the acknowledged rate is taken. Longer is calmer; it follows a change as much
#: later.
WINDOW: Final = 500_000
#: The same at the moment of a cut, when what came before the path became narrow must not count.
SHORT_WINDOW: Final = 200_000
#: Microseconds of arrivals before the rate is known at all.
SETTLED: Final = 150_000
#: Microseconds without an arrival after which what came before does not count.
PAUSE: Final = 2_000_000
#: Microseconds of arrivals that are kept as one; how many of these are kept: two windows, with room.
GRAIN: Final = 5_000
KEPT: Final = 400


class Throughput:
    """Keeps (time of arrival, bytes), some milliseconds together."""

    def __init__(self) -> None:
        self._grains: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._since = 0

    def add(self, packets: Iterable[Received]) -> None:
        """Packets that arrived. After a pause, or a jump of the clock, it begins anew."""
        grains = self._grains
        until, gathered = grains.pop() if grains else (None, 0)
        begun = until
        for _, arrived, size, _ in packets:
            if until is None or begun is None or not -PAUSE < arrived - until < PAUSE:
                grains.clear()
                begun = until = self._since = arrived
                gathered = 0
            elif arrived - begun >= GRAIN:
                grains.append((until, gathered))
                begun = until = arrived
                gathered = 0
            elif arrived > until:
                until = arrived
            gathered += size
        if until is not None:
            grains.append((until, gathered))

    def late(self, size: int) -> None:
        """Bytes that had been called lost and came after all: less would seem to come through than does."""
        if self._grains:
            arrived, before = self._grains.pop()
            self._grains.append((arrived, before + size))

    def gap(self) -> None:
        """Feedback was lost: nobody knows what came through in between."""
        self._grains.clear()

    def rate(self, window: int = WINDOW) -> int | None:
        """Bit/s over the last `window` microseconds before the newest arrival; None while too little came.

        From the last arrival before the window on, if it is near: so it is exact where packets come back to
        back.
        """
        grains = self._grains
        if not grains:
            return None
        newest = grains[-1][0]
        if newest - self._since < SETTLED:
            return None
        begin, size = newest - window, 0
        span = window
        for arrived, bytes_ in reversed(grains):
            if arrived <= begin:
                span = newest - arrived if newest - arrived < 2 * window else window
                break
            size += bytes_
        else:
            span = max(newest - self._since, SETTLED)
            size -= grains[0][1]  # it came before the span began
        return size * 8_000_000 // span
