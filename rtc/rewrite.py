"""One continuous stream made of several sources: what a consumer puts into the headers it forwards.

See docs/rewriting.md. The receiver must see one sender that never stops: sequence numbers without gaps that
the server made, timestamps that go on by the time that passed, picture ids that go on by one.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, NamedTuple

from rtc.sequence import SequenceUnwrapper

#: Dropped packets whose place is remembered. Higher lets later packets come in correctly after a long run of
#: drops, and costs 8 bytes each; a packet older than the oldest remembered drop is refused.
REMEMBERED_DROPS: Final = 512

#: Seconds. A source switched to sooner than this after the last frame still gets a timestamp of its own.
MINIMUM_STEP: Final = 0.001

#: Seconds. The longest pause that is carried into timestamps; beyond it a 32-bit clock would seem to run
#: backwards (2**31 ticks of 90 kHz are 6.6 hours).
MAXIMUM_STEP: Final = 3600.0


class Rewritten(NamedTuple):
    """The numbers to put into the forwarded packet: 16 bits, 32 bits, 15 bits or None, 8 bits or None."""

    sequence_number: int
    timestamp: int
    picture_id: int | None
    tl0picidx: int | None


class StreamRewriter:
    """Rewrites the numbers of packets from changing sources for one receiver.

    clock_rate in Hz. The first packet keeps its timestamp and picture id, and its sequence number modulo
    2**15 (so that SRTP's rollover counter cannot be guessed wrong at the start, RFC 3711 section 3.3.1)
    unless first_sequence_number is given.

    The caller hands in packets of the current source only, calls `switch()` before the first packet of
    another and starts video at a key frame. Late packets of the current source map as they would have in
    order; packets from before its first one give None.
    """

    __slots__ = (
        "_clock_rate",
        "_drops",
        "_first",
        "_floor",
        "_highest",
        "_last_picture",
        "_last_place",
        "_last_time",
        "_last_tl0",
        "_offset",
        "_picture_offset",
        "_switching",
        "_time",
        "_time_offset",
        "_tl0_offset",
        "_unwrapper",
    )

    def __init__(self, clock_rate: int = 90000, first_sequence_number: int | None = None) -> None:
        self._clock_rate: Final = clock_rate
        self._first = first_sequence_number
        self._unwrapper = SequenceUnwrapper(16)
        self._switching = True
        self._drops: list[int] = []  # unwrapped input numbers, ascending
        self._floor = 0  # the lowest unwrapped input number that can be mapped
        self._highest = 0  # the highest unwrapped input number that was forwarded
        self._offset = 0  # output minus input, behind all remembered drops
        self._time_offset = 0
        self._picture_offset = 0
        self._tl0_offset = 0
        # What the highest packet was given; its place is its sequence number, not wrapped.
        self._last_place: int | None = None
        self._last_time = 0
        self._last_picture: int | None = None
        self._last_tl0: int | None = None
        self._time = 0.0  # when the first packet of the newest timestamp came

    @property
    def started(self) -> bool:
        """True once a packet was forwarded."""
        return self._last_place is not None

    @property
    def switching(self) -> bool:
        """True while the next packet will be taken as the start of a source."""
        return self._switching

    def map_timestamp(self, timestamp: int) -> int | None:
        """A timestamp of the current source as the receiver sees it (for sender reports).

        None before the first packet and between two sources.
        """
        if self._last_place is None or self._switching:
            return None
        return (timestamp + self._time_offset) & 0xFFFFFFFF

    def switch(self) -> None:
        """The next packet is the first of another source (or of the same one after a pause)."""
        self._switching = True

    def drop(self, sequence_number: int) -> None:
        """This packet of the current source is not forwarded: what comes behind it closes up.

        A packet that was overtaken by a forwarded one cannot be closed over any more and leaves its gap.
        """
        if self._switching:
            return
        number = self._unwrapper.unwrap(sequence_number)
        drops = self._drops
        if number <= self._highest:
            return
        if not drops or number > drops[-1]:
            drops.append(number)
        else:
            index = bisect_left(drops, number)
            if drops[index] == number:
                return
            drops.insert(index, number)
        self._offset -= 1
        if len(drops) > REMEMBERED_DROPS:
            half = REMEMBERED_DROPS // 2
            self._floor = max(self._floor, drops[half - 1] + 1)
            del drops[:half]

    def rewrite(
        self, sequence_number: int, timestamp: int, picture_id: int | None, tl0picidx: int | None, now: float
    ) -> Rewritten | None:
        """The numbers for a packet, or None when it must not be forwarded: it precedes the current source,
        was dropped, or is too old to be placed. `now` in monotonic seconds.
        """
        if self._switching:
            self._start(sequence_number, timestamp, picture_id, tl0picidx, now)
        number = self._unwrapper.unwrap(sequence_number)
        if number < self._floor:
            return None
        place = number + self._offset
        drops = self._drops
        if drops and number <= drops[-1]:
            index = bisect_left(drops, number)
            if drops[index] == number:
                return None
            place += len(drops) - index
        out_time = (timestamp + self._time_offset) & 0xFFFFFFFF
        picture = None if picture_id is None else (picture_id + self._picture_offset) & 0x7FFF
        tl0 = None if tl0picidx is None else (tl0picidx + self._tl0_offset) & 0xFF
        if number > self._highest:
            self._highest = number
            if out_time != self._last_time or self._last_place is None:
                self._time = now
            self._last_place = place
            self._last_time = out_time
            if picture is not None:  # a field that a packet lacks goes on from where it was
                self._last_picture = picture
            if tl0 is not None:
                self._last_tl0 = tl0
        return Rewritten(place & 0xFFFF, out_time, picture, tl0)

    def _start(
        self, sequence_number: int, timestamp: int, picture_id: int | None, tl0picidx: int | None, now: float
    ) -> None:
        """Chooses the offsets so that this packet follows the highest one sent so far."""
        self._switching = False
        self._unwrapper = SequenceUnwrapper(16)
        self._unwrapper.unwrap(sequence_number)
        self._drops.clear()
        self._floor = sequence_number
        self._highest = sequence_number - 1  # so that this packet becomes the highest
        if self._last_place is None:
            first = sequence_number & 0x7FFF if self._first is None else self._first
            self._offset = first - sequence_number
            return
        self._offset = self._last_place + 1 - sequence_number
        pause = min(max(now - self._time, MINIMUM_STEP), MAXIMUM_STEP)
        self._time_offset = self._last_time + max(1, round(pause * self._clock_rate)) - timestamp
        if picture_id is not None and self._last_picture is not None:
            self._picture_offset = self._last_picture + 1 - picture_id
        if tl0picidx is not None and self._last_tl0 is not None:
            self._tl0_offset = self._last_tl0 + 1 - tl0picidx
