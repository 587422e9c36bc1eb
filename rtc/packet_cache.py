"""The packets sent lately, kept to be sent again when somebody lacks them."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")


class PacketCache(Generic[T]):
    """A ring of the latest packets by sequence number (0..65535), constant time and memory.

    capacity in packets, rounded up to a power of two, at most 32768: higher answers older requests and keeps
    more memory (about 1.2 KB a packet of video). max_age in seconds: an older packet would come too late to
    be shown, so higher spends more of the path on packets that no longer help.
    """

    __slots__ = ("_mask", "_packets", "_times", "max_age")

    def __init__(self, capacity: int = 512, max_age: float = 1.0) -> None:
        if not 1 <= capacity <= 32768:
            raise ValueError("capacity must be 1 to 32768 packets")
        size = 1 << (capacity - 1).bit_length()
        self._mask: Final = size - 1
        self._packets: list[tuple[int, T] | None] = [None] * size
        self._times: list[float] = [0.0] * size
        self.max_age = max_age

    @property
    def capacity(self) -> int:
        """How many packets fit."""
        return self._mask + 1

    def put(self, sequence_number: int, packet: T, now: float) -> None:
        """Keeps a packet; the one whose place it takes is forgotten."""
        place = sequence_number & self._mask
        self._packets[place] = (sequence_number, packet)
        self._times[place] = now

    def get(self, sequence_number: int, now: float) -> T | None:
        """The packet, or None when it was never here, was pushed out, or is older than max_age."""
        place = sequence_number & self._mask
        entry = self._packets[place]
        if entry is None or entry[0] != sequence_number or now - self._times[place] > self.max_age:
            return None
        return entry[1]

    def clear(self) -> None:
        """Forgets everything."""
        self._packets = [None] * (self._mask + 1)
