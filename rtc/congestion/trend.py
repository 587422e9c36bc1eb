"""Whether a queue is growing: the slope of the delay over the last groups, against a threshold that adapts.

The trendline filter and the over-use detector of libwebrtc (goog_cc/trendline_estimator), which took the
place of the Kalman filter of draft-ietf-rmcat-gcc-02 section 5.3; the threshold is that of section 5.4.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from rtc.observation import Usage

#: Groups over which the slope is taken. More is calmer and later.
WINDOW: Final = 20
#: Part of the old value in the smoothed delay, per group. Higher is calmer and later.
SMOOTHING: Final = 0.9
#: What slope times groups is multiplied with before it is compared. Higher finds smaller queues and more
#: false ones.
GAIN: Final = 4.0
#: Groups after which more do not count for more.
MAX_GROUPS: Final = 60
#: Milliseconds: the threshold at the beginning and its limits. Lower finds smaller queues and yields to
#: others sooner; the upper limit keeps a path with wild delays from making it deaf.
THRESHOLD: Final = 12.5
MIN_THRESHOLD: Final = 6.0
MAX_THRESHOLD: Final = 600.0
#: Per millisecond: how fast the threshold follows upwards (so that a flow which fills the queue does not
#: starve us) and downwards (slower would leave it deaf after a burst).
FOLLOW_UP: Final = 0.0087
FOLLOW_DOWN: Final = 0.039
#: Milliseconds above the threshold beyond which a value is a burst that does not move it.
BURST: Final = 15.0
#: Milliseconds over the threshold before it counts as over-use. Longer lets more of a queue build up.
OVERUSE_TIME: Final = 10.0


class Trendline:
    """The state of the path, from group to group."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self.threshold = THRESHOLD
        self.trend = 0.0  # modified: slope x groups x gain, milliseconds
        self._groups = 0
        self._delay = self._smoothed = 0.0  # microseconds, accumulated
        self._clear_window()
        self._over_for = -1.0
        self._over_groups = 0
        self._last_trend = 0.0
        self._last_update: int | None = None

    def reset(self) -> None:
        """The clocks jumped: what was learned of the delay means nothing; the threshold stays."""
        self._groups, self._delay, self._smoothed = 0, 0.0, 0.0
        self._clear_window()
        self.usage, self._over_for, self._over_groups, self._last_trend = Usage.NORMAL, -1.0, 0, 0.0

    def update(self, sent_delta: int, arrived_delta: int, arrived: int) -> Usage:
        """One group; microseconds."""
        self._groups = min(self._groups + 1, MAX_GROUPS)
        self._delay += arrived_delta - sent_delta
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._delay
        slope = self._slope(arrived, round(self._smoothed))
        self.trend = self._groups * slope * GAIN
        self._detect(slope, sent_delta / 1000.0)
        self._adapt(arrived)
        return self.usage

    def _clear_window(self) -> None:
        self._points: deque[tuple[int, int]] = deque()
        self._sum_x = self._sum_y = self._sum_xx = self._sum_xy = 0

    def _slope(self, x: int, y: int) -> float:
        """Least squares over the window. The sums are of integers, so that they stay exact for ever."""
        points = self._points
        points.append((x, y))
        self._sum_x += x
        self._sum_y += y
        self._sum_xx += x * x
        self._sum_xy += x * y
        count = len(points)
        if count > WINDOW:
            x, y = points.popleft()
            self._sum_x -= x
            self._sum_y -= y
            self._sum_xx -= x * x
            self._sum_xy -= x * y
            count = WINDOW
        if count < WINDOW:
            return 0.0
        spread = count * self._sum_xx - self._sum_x * self._sum_x
        if spread <= 0:
            return 0.0
        # Each rounded first, as the kernel has to.
        return float(count * self._sum_xy - self._sum_x * self._sum_y) / float(spread)

    def _detect(self, slope: float, sent_ms: float) -> None:
        trend = self.trend
        if trend > self.threshold:
            self._over_for = sent_ms / 2 if self._over_for < 0 else self._over_for + sent_ms
            self._over_groups += 1
            if self._over_for > OVERUSE_TIME and self._over_groups > 1 and slope >= self._last_trend:
                self._over_for, self._over_groups = 0.0, 0
                self.usage = Usage.OVER
        else:
            self._over_for, self._over_groups = -1.0, 0
            self.usage = Usage.UNDER if trend < -self.threshold else Usage.NORMAL
        self._last_trend = slope

    def _adapt(self, arrived: int) -> None:
        size = abs(self.trend)
        last, self._last_update = self._last_update, arrived
        if last is None or size > self.threshold + BURST:
            return
        follow = FOLLOW_DOWN if size < self.threshold else FOLLOW_UP
        elapsed = min(max(arrived - last, 0) / 1000.0, 100.0)
        threshold = self.threshold + follow * (size - self.threshold) * elapsed
        self.threshold = min(max(threshold, MIN_THRESHOLD), MAX_THRESHOLD)
