"""The delay-based rate: up a little while the path is calm, down when a queue grows (GCC draft, section 5.5).

As libwebrtc's AimdRateControl: near the capacity at which queues grew before, the rate rises by addition.
"""

from __future__ import annotations

from enum import Enum
from math import ceil, sqrt
from typing import Final

from rtc.observation import Usage

#: Part of what came through that is sent after a queue grew. Lower empties it sooner and leaves more of the
#: path unused.
BACK_OFF: Final = 0.85
#: Part a second by which the rate rises far from the known capacity. Higher finds it sooner and overshoots
#: more.
RISE: Final = 0.08
#: Part a second by which it rises at least near the capacity, where the draft's packet a round trip is less.
#: Higher wastes less of a fast path after each cut, and cuts more often.
MIN_NEAR_RISE: Final = 0.015
#: The rate may exceed what came through by this factor, plus as many bit/s: an application that sends less
#: than it may has not shown that more passes. Higher lets it jump further than was ever tried.
UNTRIED: Final = 1.5
UNTRIED_FLOOR: Final = 10_000
#: Weight of a new observation of the capacity: at a cut, and by a probe.
CUT_WEIGHT: Final = 0.05
PROBE_WEIGHT: Final = 0.5
#: Packet size (bytes), frames a second and the time a detector takes (us), from which additive steps are
#: made.
PACKET: Final = 1200
FRAMES: Final = 30
REACTION: Final = 100_000
#: Bit/s a second of the smallest additive step.
MIN_STEP: Final = 4_000


class State(Enum):
    """What the rate does."""

    HOLD = "hold"
    INCREASE = "increase"
    DECREASE = "decrease"


class LinkCapacity:
    """Mean and spread of what came through when queues grew, in bit/s."""

    def __init__(self) -> None:
        self.estimate: float | None = None
        self._deviation = 0.4  # normalised variance, kbit/s

    def observed(self, rate: float, weight: float = CUT_WEIGHT) -> None:
        sample = rate / 1000
        if self.estimate is None:
            self.estimate = rate
            return
        mean = (1 - weight) * self.estimate / 1000 + weight * sample
        self.estimate = mean * 1000
        error = (mean - sample) ** 2 / max(mean, 1.0)
        self._deviation = min(max((1 - weight) * self._deviation + weight * error, 0.4), 2.5)

    def forget(self) -> None:
        self.estimate = None

    @property
    def margin(self) -> float:
        """Three standard deviations in bit/s."""
        return 3000 * sqrt(self._deviation * (self.estimate or 0.0) / 1000)

    def is_above(self, rate: float) -> bool:
        return self.estimate is not None and rate > self.estimate + self.margin

    def is_below(self, rate: float) -> bool:
        return self.estimate is not None and rate < self.estimate - self.margin


class RateControl:
    """The delay-based rate in bit/s; times in microseconds."""

    def __init__(self, start: int, minimum: int, maximum: int) -> None:
        self._minimum, self._maximum = minimum, maximum
        self.rate = float(start)
        self.state = State.INCREASE
        self.capacity = LinkCapacity()
        self.last_cut: int | None = None
        self._updated: int | None = None

    def set_rate(self, rate: float) -> None:
        self.rate = min(max(rate, float(self._minimum)), float(self._maximum))

    def update(self, usage: Usage, received: int | None, recent: int | None, rtt: int, now: int) -> None:
        """One feedback. `received`: what came through lately, `recent`: over the shortest time, bit/s."""
        elapsed = 0 if self._updated is None else min(now - self._updated, 1_000_000)
        self._updated = now
        if usage is Usage.OVER:
            if self._may_cut(recent, rtt, now):
                self.state = State.DECREASE
                self._cut(recent, now)
            self.state = State.HOLD
        elif usage is Usage.UNDER:
            self.state = State.HOLD
        elif self.state is State.HOLD:
            self.state = State.INCREASE
        elif self.state is State.INCREASE:
            self._increase(received, rtt, elapsed / 1e6)

    def passes(self, rate: int) -> None:
        """As many bit/s come through, and the queue does not grow: a cut made while the path stood still for
        a moment is taken back.
        """
        self.set_rate(max(self.rate, rate * BACK_OFF))

    def probed(self, rate: int) -> None:
        """A probe came through at `rate` bit/s."""
        self.capacity.observed(rate, PROBE_WEIGHT)
        self.set_rate(rate)

    def _may_cut(self, recent: int | None, rtt: int, now: int) -> bool:
        if self.last_cut is None or now - self.last_cut >= min(max(rtt, 10_000), 200_000) + REACTION:
            return True
        return recent is not None and recent < self.rate / 2

    def _cut(self, recent: int | None, now: int) -> None:
        self.last_cut = now
        if recent is None:
            self.set_rate(self.rate * BACK_OFF)
            return
        if self.capacity.is_below(recent):
            self.capacity.forget()
        self.capacity.observed(recent)
        self.set_rate(min(self.rate, recent * BACK_OFF))

    def _increase(self, received: int | None, rtt: int, seconds: float) -> None:
        if received is not None and self.capacity.is_above(received):
            self.capacity.forget()
        if self.capacity.estimate is not None:
            rise = max(self._additive(rtt), self.rate * MIN_NEAR_RISE) * seconds
        else:
            rise = max(self.rate * RISE, 1000.0) * seconds
        limit = float(self._maximum) if received is None else UNTRIED * received + UNTRIED_FLOOR
        if self.rate + rise <= limit:
            self.set_rate(self.rate + rise)
        elif self.rate < limit:
            self.set_rate(limit)

    def _additive(self, rtt: int) -> float:
        """Bit/s a second: a packet in each response time."""
        frame = self.rate / FRAMES
        packet = frame / ceil(frame / (PACKET * 8))
        return max(packet * 1_000_000 / (2 * (rtt + REACTION)), float(MIN_STEP))
