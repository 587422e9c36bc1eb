"""Datagrams of the Python twin that are ready to leave, one behind the other in few pieces of memory, so that
neighbours to one address can leave in one message (UDP GSO)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from rtc.fanout import MAX_SEGMENTS
from rtc.srtp_session import Memory

#: Bytes of one piece of memory. Larger ones waste less at their ends; each is kept for the next round.
MEMORY_BYTES: Final = 262_144
#: Pieces that are kept: 4 MB are what a key frame needs to go to 100 receivers. More are made when needed,
#: and let go again.
_KEPT: Final = 16
#: Bytes of the addresses that a socket can send to: sockaddr_in and sockaddr_in6.
SOCKADDR_SIZES: Final = frozenset((16, 28))


class Burst:
    """`count` datagrams to one address, from `start` to `end` of a memory, all of `size` bytes but the last,
    which may have less."""

    __slots__ = ("address", "count", "end", "memory", "size", "start")

    def __init__(self, address: bytes, memory: Memory, start: int, size: int) -> None:
        self.address, self.memory, self.start, self.size = address, memory, start, size
        self.end, self.count = start + size, 1

    def split(self, count: int) -> Burst:
        """Takes the first `count` datagrams off, less than all."""
        middle = self.start + count * self.size
        head = Burst(self.address, self.memory, self.start, self.size)
        head.end, head.count = middle, count
        self.start, self.count = middle, self.count - count
        return head

    def rejoin(self, head: Burst) -> None:
        """What was split off comes back."""
        self.start, self.count = head.start, self.count + head.count

    def datagrams(self) -> Iterator[bytes]:
        for start in range(self.start, self.start + self.count * self.size, self.size or 1):
            yield bytes(self.memory.view[start : min(start + self.size, self.end)])
        if not self.size:
            yield b""


class Outbox:
    """The bursts in their order. What is put together at `used` of `memory` becomes the next datagram."""

    __slots__ = ("_memories", "_used_up", "bursts", "end", "memory", "strange", "used")

    def __init__(self) -> None:
        self.bursts: Final[deque[Burst]] = deque()
        self._memories: Final = [Memory(MEMORY_BYTES)]
        self._used_up = 0  # memories before the present one
        self.memory = self._memories[0]
        self.used, self.end = 0, MEMORY_BYTES
        #: Whether something has an address that no socket takes.
        self.strange = False

    def make_room(self, size: int) -> None:
        """For that many bytes from `used` on, SEALING_ROOM included for what is to be sealed."""
        if self.used + size <= self.end:
            return
        self._used_up += 1
        if self._used_up == len(self._memories) or size > MEMORY_BYTES:
            self._memories.insert(self._used_up, Memory(max(MEMORY_BYTES, size)))
        self.memory, self.used = self._memories[self._used_up], 0
        self.end = len(self.memory.data)

    def put(self, address: bytes, data: bytes) -> None:
        """A datagram that was made elsewhere."""
        size = len(data)
        self.make_room(size)
        self.memory.view[self.used : self.used + size] = data
        self.add(address, (size,))

    def add(self, address: bytes, sizes: Iterable[int]) -> None:
        """The next datagrams are complete, of those sizes."""
        memory, at, bursts = self.memory, self.used, self.bursts
        if len(address) not in SOCKADDR_SIZES:
            self.strange = True
        burst = bursts[-1] if bursts else None
        if burst is not None and (burst.end != at or burst.memory is not memory or burst.address != address):
            burst = None
        for size in sizes:
            # Nothing follows a shorter one.
            if (
                burst is not None
                and 0 < size <= burst.size
                and burst.count < MAX_SEGMENTS
                and at - burst.start == burst.count * burst.size
            ):
                burst.count += 1
                burst.end = at + size
            else:
                burst = Burst(address, memory, at, size)
                bursts.append(burst)
            at += size
        self.used = at

    def waiting(self) -> int:
        """How many datagrams."""
        return sum(burst.count for burst in self.bursts)

    def cut(self, excess: int) -> None:
        """Drops the newest `excess` datagrams."""
        bursts = self.bursts
        while excess > 0:
            last = bursts.pop()
            if last.count > excess:
                bursts.append(last.split(last.count - excess))
            excess -= last.count

    def settle(self) -> None:
        """The memory is written anew from here on; what is still there goes into one of its own."""
        moved = [burst for burst in self.bursts if burst.memory in self._memories]
        if moved:
            memory, at = Memory(sum(burst.end - burst.start for burst in moved)), 0
            for burst in moved:
                size = burst.end - burst.start
                memory.view[at : at + size] = burst.memory.view[burst.start : burst.end]
                burst.memory, burst.start, burst.end = memory, at, at + size
                at += size
        del self._memories[_KEPT:]
        self._used_up = self.used = 0
        self.memory, self.end = self._memories[0], MEMORY_BYTES
