"""Packets that left together are one group; between groups the delay is seen to change (GCC draft, 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from rtc.observation import Received

#: Microseconds of sending that make one group (draft: burst_time). Longer smooths more and sees less.
GROUP_SPAN: Final = 5_000
#: Packets that arrive within this many microseconds of the last one, sooner than they were sent apart, belong
#: to its group as long as the group does not last longer than BURST_SPAN: a path that gathers packets (Wi-Fi)
#: lets them out at once. Higher hides real queues.
BURST_GAP: Final = 5_000
BURST_SPAN: Final = 100_000
#: Microseconds by which arrivals may drift from sending between two groups before it counts as a jump of the
#: receiver's clock, and groups in the wrong order before it is the order that counts.
CLOCK_JUMP: Final = 3_000_000
MAX_DISORDER: Final = 3


class Group(NamedTuple):
    """A group that is over, against the one before it; microseconds. The deltas count only where `usable`."""

    sent_delta: int
    arrived_delta: int
    sent: int  # the last packet of it
    arrived: int
    size: int
    usable: bool


class PacketGroups:
    """Gathers packets into groups and compares neighbours."""

    def __init__(self) -> None:
        self._size = 0  # of the group under way; 0: none
        self._first_sent = self._last_sent = self._first_arrived = self._last_arrived = 0
        self._before: tuple[int, int] | None = None  # sent, arrived of the group before
        self._disorder = 0
        self.jumps = 0  # of the receiver's clock

    def add(self, packets: Iterable[Received]) -> list[Group]:
        """Takes packets in the order of sending; gives the groups that ended with them."""
        ended: list[Group] = []
        for sent, arrived, size, _ in packets:
            if not self._size:
                self._begin(sent, arrived, size)
                continue
            if sent - self._first_sent <= GROUP_SPAN or (
                -BURST_SPAN < arrived - self._last_arrived <= BURST_GAP
                and arrived - self._last_arrived < sent - self._last_sent
                and arrived - self._first_arrived < BURST_SPAN
            ):
                self._size += size
                if sent > self._last_sent:
                    self._last_sent = sent
                if arrived > self._last_arrived:
                    self._last_arrived = arrived
                continue
            ended.append(self._end())
            self._begin(sent, arrived, size)
        return ended

    def _begin(self, sent: int, arrived: int, size: int) -> None:
        self._size = size
        self._first_sent = self._last_sent = sent
        self._first_arrived = self._last_arrived = arrived

    def _end(self) -> Group:
        sent, arrived, size = self._last_sent, self._last_arrived, self._size
        before, self._before = self._before, (sent, arrived)
        if before is None:
            return Group(0, 0, sent, arrived, size, False)
        sent_delta, arrived_delta = sent - before[0], arrived - before[1]
        if abs(arrived_delta - sent_delta) > CLOCK_JUMP:
            self.jumps += 1
            self._disorder = 0
            return Group(0, 0, sent, arrived, size, False)
        if arrived_delta < 0 and self._disorder < MAX_DISORDER:
            self._disorder += 1
            self._before = before  # what was overtaken says nothing
            return Group(0, 0, sent, arrived, size, False)
        self._disorder = 0
        return Group(sent_delta, arrived_delta, sent, arrived, size, arrived_delta >= 0)
