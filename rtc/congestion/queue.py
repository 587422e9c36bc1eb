"""How long packets wait in the path's queue, and whether it has to be emptied."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Microseconds for which the shortest delay seen counts as that of the empty path: what stands longer is
#: taken for the path itself, and a clock that drifts by 100 ppm moves it by no more than 2 ms.
BASE_SPAN: Final = 20_000_000
_SLICE: Final = 2_000_000
#: Microseconds of queue at which the rate is lowered until no more than EMPTY are left. Lower keeps the delay
#: smaller and gives way to flows that fill the queue.
FULL: Final = 80_000
EMPTY: Final = 30_000
#: Microseconds of queue at which its growing is over-use, whatever the slope says: packets that left as one
#: group may take longer than that, and groups are what the slope is made of.
SEVERE: Final = 200_000
#: Microseconds, and the delay, after which the queue must be shorter by HELPED; else it is not ours, and it
#: is left alone for PAUSE.
PATIENCE: Final = 1_000_000
HELPED: Final = 30_000
PAUSE: Final = 3_000_000


class QueueWatch:
    """Takes the shortest one-way delay of each feedback (receiver's clock less ours, so of any size)."""

    def __init__(self) -> None:
        self.delay = 0  # microseconds above the empty path
        self.draining = False
        self.severe = False  # and growing
        self.began = False  # it has just become too long
        self._slices: deque[tuple[int, int]] = deque()  # (since, shortest delay in it)
        self._judged_at = self._judged_from = 0
        self._not_before = 0

    def reset(self) -> None:
        """The clocks jumped."""
        self._slices.clear()
        self.delay, self.draining, self.severe, self.began = 0, False, False, False

    @property
    def base(self) -> int:
        """The delay of the empty path; 0 where nothing is known."""
        return min((delay for _, delay in self._slices), default=0)

    def update(self, shortest: int, least: int, now: int) -> None:
        """The shortest delay (us) among the packets of the last feedback, and of all since the last call."""
        slices = self._slices
        if not slices or now - slices[-1][0] >= _SLICE:
            slices.append((now, least))
        elif least < slices[-1][1]:
            slices[-1] = (slices[-1][0], least)
        while now - slices[0][0] > BASE_SPAN:
            slices.popleft()
        before, self.delay = self.delay, shortest - self.base
        self.severe = self.delay > SEVERE and self.delay > before
        self.began = False
        if not self.draining:
            if self.delay > FULL and now >= self._not_before:
                self.draining = self.began = True
                self._judge_later(now)
        elif self.delay < EMPTY:
            self.draining = False
        elif self.delay > self._judged_from:
            self._judge_later(now)  # it still comes from before
        elif now >= self._judged_at:
            if self.delay > self._judged_from - HELPED:
                self.draining, self._not_before = False, now + PAUSE
            self._judge_later(now)

    def _judge_later(self, now: int) -> None:
        """What is sent from now on is seen when the queue before it is through."""
        self._judged_from = self.delay
        self._judged_at = now + PATIENCE + min(self.delay, 3 * PATIENCE)
