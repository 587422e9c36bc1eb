"""Whether the queue on the way grows: the trend of delays between bursts (draft-ietf-rmcat-gcc-02 section 5).

Pure; microseconds in, milliseconds inside, as the constants of the draft are.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

#: Microseconds. Packets that left within this belong to one burst; pacers send so. Longer smooths more.
BURST_US: Final = 5_000
#: Bursts in the trend: about half a second at 40 a second. More is calmer, fewer reacts sooner.
_WINDOW: Final = 20
#: The part of the past in the smoothed delay, and what the trend is multiplied by before it is compared.
_SMOOTHING: Final = 0.9
_GAIN: Final = 4.0
#: Milliseconds: the threshold at first, its bounds, and how fast it follows the trend up and down. A
#: threshold that follows keeps flows of TCP from starving ours; a low one keeps the queue short.
_THRESHOLD: Final = 12.5
_THRESHOLD_BOUNDS: Final = (6.0, 600.0)
_FOLLOW_UP, _FOLLOW_DOWN = 0.0087, 0.039
#: Milliseconds that the trend must be over the threshold. Longer ignores short bursts of others.
_OVERUSE_MS: Final = 10.0
#: Microseconds. A change of delay beyond this is a clock or a route that changed, not a queue.
_LEAP_US: Final = 3_000_000


class Usage(Enum):
    """What the delays say about the path."""

    NORMAL = "normal"
    OVER = "over"
    UNDER = "under"


class Trendline:
    """Feed every acknowledged packet in the order of sending; read `usage`."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self._group: tuple[int, int, int] | None = None  # first and last time of sending, last arrival
        self._before: tuple[int, int] | None = (
            None  # last time of sending and last arrival of the group before
        )
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)  # (arrival ms, smoothed delay ms)
        self._delay = self._smoothed = 0.0
        self._began: int | None = None
        self._groups = 0
        self._threshold = _THRESHOLD
        self._over_for = 0.0
        self._trend = 0.0
        self._updated: int | None = None

    def packet(self, sent: int, arrived: int) -> None:
        """A packet sent at `sent` that arrived at `arrived`, microseconds of two clocks."""
        group = self._group
        if group is None:
            self._group = (sent, sent, arrived)
        elif sent < group[0]:
            return  # overtaken: its group is closed
        elif sent - group[0] <= BURST_US:
            self._group = (group[0], max(group[1], sent), max(group[2], arrived))
        else:
            self._close(group)
            self._group = (sent, sent, arrived)

    def _close(self, group: tuple[int, int, int]) -> None:
        before, self._before = self._before, (group[1], group[2])
        if before is None:
            return
        between_sent, between_arrived = group[1] - before[0], group[2] - before[1]
        if between_arrived < 0 or abs(between_arrived - between_sent) > _LEAP_US:
            self._points.clear()
            self._before = (group[1], group[2]) if between_arrived >= 0 else before
            return
        self._delay += (between_arrived - between_sent) / 1000
        self._smoothed = _SMOOTHING * self._smoothed + (1 - _SMOOTHING) * self._delay
        self._began = group[2] if self._began is None else self._began
        self._points.append(((group[2] - self._began) / 1000, self._smoothed))
        self._groups += 1
        slope = _slope(self._points) if len(self._points) == _WINDOW else 0.0
        self._detect(slope, between_sent / 1000, group[2])

    def _detect(self, slope: float, between_ms: float, arrived: int) -> None:
        modified = min(self._groups, 60) * slope * _GAIN
        if modified > self._threshold:
            self._over_for += between_ms
            # Still growing, and for long enough: an overuse, not a burst that drains already.
            if self._over_for > _OVERUSE_MS and slope >= self._trend:
                self._over_for = 0.0
                self.usage = Usage.OVER
        elif modified < -self._threshold:
            self._over_for, self.usage = 0.0, Usage.UNDER
        else:
            self._over_for, self.usage = 0.0, Usage.NORMAL
        self._trend = slope
        self._follow(modified, arrived)

    def _follow(self, modified: float, arrived: int) -> None:
        before, self._updated = self._updated, arrived
        size = abs(modified)
        if before is None or size > self._threshold + 15.0:  # a leap is no reason to get used to it
            return
        gain = _FOLLOW_DOWN if size < self._threshold else _FOLLOW_UP
        elapsed = min((arrived - before) / 1000, 100.0)
        low, high = _THRESHOLD_BOUNDS
        self._threshold += gain * (size - self._threshold) * elapsed
        self._threshold = min(max(self._threshold, low), high)


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the straight line through the points (least squares)."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    below = sum((x - mean_x) ** 2 for x, _ in points)
    if not below:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below
