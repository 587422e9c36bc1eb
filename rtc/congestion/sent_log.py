"""What a sender remembers of what it sent under transport-wide numbers."""

from __future__ import annotations

from typing import Final

from rtc.fanout import SENT_PACKETS, SentPacket


class SentLog:
    """Numbers packets from 0 on, wrapping at 16 bits, and remembers the last SENT_PACKETS of them."""

    def __init__(self) -> None:
        self._packets: Final[list[SentPacket | None]] = [None] * SENT_PACKETS
        self._count = 0

    def add(self, size: int, now: int, cluster: int = 0) -> int:
        """The number for a packet of `size` bytes of UDP payload that is sent now (microseconds)."""
        number = self._count
        self._packets[number % SENT_PACKETS] = SentPacket(now, size, cluster)
        self._count += 1
        return number & 0xFFFF

    def sent(self, first: int, count: int) -> list[SentPacket | None]:
        """What was sent under `count` numbers from `first` (16 bits) on, as `Fanout.sent`: None where
        nothing was, or where it is forgotten.
        """
        newest = self._count - 1
        start = newest - ((newest - first) & 0xFFFF)  # the latest with this number
        oldest = max(0, self._count - SENT_PACKETS)
        packets = self._packets
        return [
            packets[n % SENT_PACKETS] if oldest <= n <= newest else None for n in range(start, start + count)
        ]
