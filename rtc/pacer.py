"""Packets of one peer that wait for their turn, so that a key frame does not leave as one burst. Pure.

docs/fanout.md tells the rules. A pacer has the time at which what it let pass is through at its rate.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from rtc.fanout import PACER_AGE, PACER_BURST, PACER_PACKETS

T = TypeVar("T")

#: Later than all times.
NEVER: Final = 1 << 64


class Pacer(Generic[T]):
    """Waiting packets of one peer. rate in bytes a second, 0 without limit; times in microseconds."""

    __slots__ = ("_first", "_second", "late", "rate", "until")

    def __init__(self) -> None:
        self.rate = 0
        self.until = 0
        #: How many waited longer than PACER_AGE and were dropped.
        self.late = 0
        self._first: deque[tuple[int, T]] = deque()  # repairs and probes, with the time they came
        self._second: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    @property
    def full(self) -> bool:
        """True when the next packet that has to wait is dropped."""
        return len(self._first) + len(self._second) >= PACER_PACKETS

    def passes(self, now: int) -> bool:
        """Whether a packet goes out at once."""
        if self._first or self._second:
            return False
        return self.rate == 0 or self.until - now <= PACER_BURST

    def bound(self, now: int) -> int:
        """What `until` may be at most for a packet to go out at once; -1 for nothing does."""
        if self._first or self._second:
            return -1
        return now + PACER_BURST if self.rate else NEVER

    def count(self, size: int, now: int) -> None:
        """A datagram of `size` bytes passed."""
        if self.rate:
            self.until = max(self.until, now) + size * 1_000_000 // self.rate

    @property
    def oldest(self) -> int | None:
        """Since when media waits, if any does."""
        return self._second[0][0] if self._second else None

    def wait(self, packet: T, now: int, *, first: bool) -> None:
        """The packet waits from `now` on; `first`: before the media."""
        (self._first if first else self._second).append((now, packet))

    def due(self, now: int) -> int:
        """Microseconds until the next packet passes, -1 when none waits."""
        if not len(self):
            return -1
        return 0 if self.rate == 0 else max(0, self.until - now - PACER_BURST)

    def pop(self, now: int) -> T | None:
        """The next packet that passes now and is not too old, to be counted when it has; None when none
        does."""
        while waiting := self._first or self._second:
            if self.rate and self.until - now > PACER_BURST:
                break
            since, packet = waiting.popleft()
            if now - since <= PACER_AGE:
                return packet
            self.late += 1
        return None
