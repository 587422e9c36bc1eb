"""The loss-based limit (GCC draft, section 6): many losses lower it, few leave it alone."""

from __future__ import annotations

from typing import Final

#: Below LOW the limit rises by RISE of itself a second, between LOW and HIGH by SLOW_RISE, above HIGH it
#: falls by half the part that was lost. A higher HIGH lets us fill short queues at others' cost; a lower one
#: gives way to losses of the air that have nothing to do with our rate.
LOW: Final = 0.02
HIGH: Final = 0.10
RISE: Final = 0.08
SLOW_RISE: Final = 0.03
#: Losses that are still at STUBBORN of what they were when the rate is down to half have nothing to do with
#: it.
STUBBORN: Final = 0.7
#: Losses beyond this part are a path that became narrow, whatever else: they are judged sooner, and no more
#: is sent than came through, and a little, if LOADED of the rate was sent at all.
COLLAPSE: Final = 0.30
COLLAPSE_MARGIN: Final = 1.1
LOADED: Final = 0.65
#: The limit is never below this part of what comes through, since that passes, as everybody can see. Higher
#: keeps a short queue full, lower gives more than it must.
PASSES: Final = 0.98
#: The limit is given up once it is this much above what the delay allows: it says nothing any more.
SURPLUS: Final = 1.5
#: What is judged at once: at least so many microseconds and packets. Less takes chance for congestion.
WINDOW: Final = 500_000
MIN_PACKETS: Final = 30
#: With that many packets a window may be half as long if it is this bad: a collapse is seen sooner.
URGENT_WINDOW: Final = 200_000


class LossLimit:
    """Bit/s that losses allow, or None where they say nothing."""

    def __init__(self) -> None:
        self.limit: float | None = None
        self.fraction = 0.0  # of the last window
        self._first = 0.0, 0.0  # rate and losses when the limit began
        self._lost = self._received = 0
        self._since: int | None = None

    def count(self, lost: int, received: int, rate: float, came_through: int, now: int) -> None:
        """What a feedback told. `rate`: what is in force, `came_through`: 0 where unknown; bit/s."""
        self._lost += lost
        self._received += received
        if self._since is None:
            self._since = now
        elapsed, total = now - self._since, self._lost + self._received
        if total < MIN_PACKETS or elapsed < URGENT_WINDOW:
            return
        if elapsed < WINDOW and self._lost < COLLAPSE * total:
            return
        self.judge(self._lost / total, elapsed, rate, came_through)
        self._lost = self._received = 0
        self._since = now

    def judge(self, fraction: float, elapsed: int, rate: float, came_through: int = 0) -> None:
        """A window of `elapsed` microseconds in which `fraction` (0..1) was lost."""
        self.fraction = fraction
        if fraction > HIGH:
            if self.limit is None:
                self._first = rate, fraction
            elif rate < self._first[0] / 2 and STUBBORN * self._first[1] < fraction <= COLLAPSE:
                return
            limit = rate * (1 - fraction / 2)
            if fraction > COLLAPSE and came_through >= LOADED * rate * (1 - fraction) > 0:
                limit = min(limit, came_through * COLLAPSE_MARGIN)
            self.limit = max(limit, came_through * PASSES)
        elif self.limit is not None:
            rise = RISE if fraction < LOW else SLOW_RISE
            self.limit += self.limit * rise * min(elapsed / 1e6, 2.0)

    def relax(self, delay_rate: float) -> None:
        """Gives the limit up when the delay is the narrower one by far."""
        if self.limit is not None and self.limit > SURPLUS * delay_rate:
            self.limit = None

    def passed(self, rate: int) -> None:
        """A probe came through at `rate` bit/s."""
        if self.limit is not None and self.limit < rate and self.fraction <= HIGH:
            self.limit = None
