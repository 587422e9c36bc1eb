"""A bad network in a light member's own socket: seeded losses and a thin link with a queue. Pure but for the
sender of datagrams; times in microseconds. No privileges needed, unlike netem."""

from __future__ import annotations

import random
from collections import deque


class ThinLink:
    """A link of `rate` bit/s (0 without limit) before which `queue_s` seconds of datagrams may wait."""

    def __init__(self, queue_s: float = 0.3) -> None:
        self.rate = 0
        self.queue_s = queue_s
        self.dropped = 0
        self._free_at = 0  # when all that waits is through
        self._waiting: deque[tuple[int, bytes]] = deque()

    def offer(self, datagram: bytes, now: int) -> None:
        """It comes through later, or it is lost."""
        if not self.rate:
            self._waiting.append((now, datagram))
            return
        begins = max(self._free_at, now)
        if begins - now > self.queue_s * 1e6:
            self.dropped += 1
            return
        self._free_at = begins + (len(datagram) + 28) * 8_000_000 // self.rate
        self._waiting.append((self._free_at, datagram))

    def due(self, now: int) -> list[bytes]:
        """What has come through by now, in order."""
        through = []
        while self._waiting and self._waiting[0][0] <= now:
            through.append(self._waiting.popleft()[1])
        return through

    def free(self) -> None:
        """No limit from now on; what waits comes through at once."""
        self.rate, self._free_at = 0, 0
        self._waiting = deque((0, datagram) for _, datagram in self._waiting)


class Losses:
    """Takes out a share of the datagrams, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.share = 0.0
        self.lost = 0
        self._random = random.Random(seed)

    def takes(self) -> bool:
        """Whether the next datagram is lost."""
        if self.share and self._random.random() < self.share:
            self.lost += 1
            return True
        return False
