"""How long packets wait in the path's queue, and whether it has to be emptied."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Microseconds for which the shortest delay seen counts as that of the empty path: what stands longer is taken for
#: the path itself, and a clock that drifts by 100 ppm moves it by no more than 2 ms.
BASE_SPAN: Final = 20_000_000
_SLICE: Final = 2_000_000
#: Microseconds of queue at which the rate is lowered until no more than EMPTY are left. Lower keeps the delay
#: smaller and gives way to flows that fill the queue.
FULL: Final = 80_000
EMPTY: Final = 30_000
#: Microseconds that this may last, and the pause behind it: if it did not help, the queue is not ours.
MAX_DRAIN: Final = 3_000_000
PAUSE: Final = 3_000_000


class QueueWatch:
    """Takes the shortest one-way delay of each feedback (receiver's clock less ours, so of any size)."""

    def __init__(self) -> None:
        self.delay = 0  # microseconds above the empty path
        self.draining = False
        self._slices: deque[tuple[int, int]] = deque()  # (since, shortest delay in it)
        self._begun = 0
        self._not_before = 0

    def reset(self) -> None:
        """The clocks jumped."""
        self._slices.clear()
        self.delay, self.draining = 0, False

    def update(self, shortest: int, now: int) -> None:
        """The shortest delay (us) among the packets of one feedback."""
        slices = self._slices
        if not slices or now - slices[-1][0] >= _SLICE:
            slices.append((now, shortest))
        elif shortest < slices[-1][1]:
            slices[-1] = (slices[-1][0], shortest)
        while now - slices[0][0] > BASE_SPAN:
            slices.popleft()
        self.delay = shortest - min(delay for _, delay in slices)
        if self.draining:
            if self.delay < EMPTY or now - self._begun > MAX_DRAIN:
                self.draining = False
                self._not_before = now + (0 if self.delay < EMPTY else PAUSE)
        elif self.delay > FULL and now >= self._not_before:
            self.draining, self._begun = True, now
