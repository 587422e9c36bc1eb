"""One continuous stream made of several sources: what a destination puts into the headers it sends.

See docs/rewriting.md. The receiver must see one sender that never stops: sequence numbers without gaps that
the server made, timestamps that go on by the time that passed, picture ids that go on by one. Integers only,
so that the kernel in C gives the same numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from rtc.picture_ids import PictureIds

#: Dropped packets whose place is remembered. Higher lets later packets come in correctly after a long run of
#: drops, and costs 8 bytes each; a packet older than the oldest remembered drop is refused.
REMEMBERED_DROPS: Final = 512

#: Microseconds. A source switched to sooner than this after the last frame still gets a timestamp of its own.
MINIMUM_STEP: Final = 1000

#: Microseconds. The longest pause that is carried into timestamps; beyond it a 32-bit clock would seem to run
#: backwards (2**31 ticks of 90 kHz are 6.6 hours).
MAXIMUM_STEP: Final = 3_600_000_000


class Rewritten(NamedTuple):
    """The numbers to put into the forwarded packet: 16 bits, 32 bits, and 15, 8 and 16 bits or None."""

    sequence_number: int
    timestamp: int
    picture_id: int | None
    tl0picidx: int | None
    frame_number: int | None


#: What becomes of packets that go on in order behind all before them, not wrapped. One that is n sequence
#: numbers and m pictures behind the first gets the first number + n and the third + m (None where they have
#: no pictures); the second is added to timestamps, the fourth to TL0PICIDX; the last tells whether picture
#: ids or TL0PICIDX become others at all. A plain tuple, for it is made for each receiver.
Following = tuple[int, int, int | None, int, bool]


class StreamRewriter:
    """Rewrites the numbers of packets from changing sources for one receiver.

    clock_rate in Hz. The first packet keeps its other numbers, and its sequence number modulo 2**15 (so that
    SRTP's rollover counter cannot be guessed wrong at the start, RFC 3711 section 3.3.1) unless
    first_sequence_number is given.

    The caller hands in packets of the current source only, calls `switch()` before the first packet of
    another and starts video at a key frame. Late packets of the current source map as they would have in
    order; packets from before its first one give None.
    """

    __slots__ = (
        "_aligned",
        "_clock_rate",
        "_drops",
        "_first",
        "_floor",
        "_frame_offset",
        "_highest",
        "_last_frame",
        "_last_place",
        "_last_tl0",
        "_offset",
        "_pictures",
        "_seen",
        "_time",
        "_tl0_offset",
        "last_timestamp",
        "switching",
        "timestamp_offset",
    )

    def __init__(self, clock_rate: int = 90000, first_sequence_number: int | None = None) -> None:
        self._clock_rate: Final = clock_rate
        self._first = first_sequence_number
        #: True while the next packet will be taken as the start of a source.
        self.switching = True
        self._aligned: int | None = None  # the timestamp offset that the next source shall have
        self._drops: list[int] = []  # unwrapped input numbers, ascending
        self._floor = 0  # the lowest unwrapped input number that can be mapped
        self._seen = 0  # the highest unwrapped input number that was forwarded or dropped
        self._highest = 0  # the highest unwrapped input number that was forwarded
        self._offset = 0  # output minus input, behind all remembered drops
        #: What is added to a timestamp of the current source, modulo 2**32.
        self.timestamp_offset = 0
        self._tl0_offset = 0
        self._frame_offset = 0
        self._pictures = PictureIds()
        # What the highest packet was given; its place is its sequence number, not wrapped.
        self._last_place: int | None = None
        self.last_timestamp = 0
        self._last_tl0: int | None = None
        self._last_frame: int | None = None
        self._time = 0  # when the first packet of the newest timestamp came

    @property
    def started(self) -> bool:
        """True once a packet was forwarded."""
        return self._last_place is not None

    @property
    def last_sequence_number(self) -> int:
        """What the highest packet was given, 0 before the first."""
        return (self._last_place or 0) & 0xFFFF

    def map_timestamp(self, timestamp: int) -> int | None:
        """A timestamp of the current source as the receiver sees it (for sender reports).

        None before the first packet and between two sources.
        """
        if self._last_place is None or self.switching:
            return None
        return (timestamp + self.timestamp_offset) & 0xFFFFFFFF

    def switch(self, timestamp_offset: int | None = None) -> None:
        """The next packet is the first of another source (or of the same one after a pause).

        timestamp_offset: what its timestamps need to be on the time line of the source before it, where
        sender reports tell. Without it the time that passed is added.
        """
        self._aligned = None if self.switching else timestamp_offset
        self.switching = True

    def drop(self, sequence_number: int, picture_id: int | None = None, picture_bits: int = 15) -> None:
        """This packet of the current source is not forwarded: what comes behind it closes up, and with
        picture_id given the pictures do too.

        A packet that was overtaken by a forwarded one cannot be closed over any more and leaves its gap.
        """
        if self.switching:
            return
        number = self._unwrap(sequence_number)
        if picture_id is not None:
            self._pictures.drop(picture_id, picture_bits)
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
        self,
        sequence_number: int,
        timestamp: int,
        picture_id: int | None,
        tl0picidx: int | None,
        now: int,
        frame_number: int | None = None,
        picture_bits: int = 15,
    ) -> Rewritten | None:
        """The numbers for a packet, or None when it must not be forwarded: it precedes the current source,
        was dropped or is of a dropped picture, or is too old to be placed. `now` in microseconds.
        """
        if self.switching:
            self._start(sequence_number, timestamp, picture_id, tl0picidx, now, frame_number)
        number = self._unwrap(sequence_number)
        if number < self._floor:
            return None
        place = number + self._offset
        drops = self._drops
        if drops and number <= drops[-1]:
            index = bisect_left(drops, number)
            if drops[index] == number:
                return None
            place += len(drops) - index
        newest = number > self._highest
        picture: int | None = None
        if picture_id is not None:
            picture = self._pictures.rewrite(picture_id, picture_bits, newest)
            if picture is None:
                self.drop(sequence_number)
                return None
        out_time = (timestamp + self.timestamp_offset) & 0xFFFFFFFF
        tl0 = None if tl0picidx is None else (tl0picidx + self._tl0_offset) & 0xFF
        frame = None if frame_number is None else (frame_number + self._frame_offset) & 0xFFFF
        if newest:
            self._highest = number
            if out_time != self.last_timestamp or self._last_place is None:
                self._time = now
            self._last_place = place
            self.last_timestamp = out_time
            if tl0 is not None:  # a field that a packet lacks goes on from where it was
                self._last_tl0 = tl0
            if frame is not None:
                self._last_frame = frame
        return Rewritten(place & 0xFFFF, out_time, picture, tl0, frame)

    def follow(self, sequence_number: int, picture_id: int | None, picture_bits: int) -> Following | None:
        """What `rewrite` would make of packets without frame numbers of which the first has these numbers and
        each other one comes after the one before it; None where it has to be asked. Changes nothing."""
        ahead = (sequence_number - self._seen) & 0xFFFF
        if self.switching or not 0 < ahead < 0x8000:
            return None
        place, tl0_offset = self._seen + ahead + self._offset, self._tl0_offset
        if picture_id is None:
            return place, self.timestamp_offset, None, tl0_offset, tl0_offset & 0xFF != 0
        picture = self._pictures.follow(picture_id, picture_bits)
        if picture is None:
            return None
        changed = (picture - picture_id) & 0x7FFF or tl0_offset & 0xFF
        return place, self.timestamp_offset, picture, tl0_offset, changed != 0

    def go_on(
        self,
        following: Following,
        steps: int,
        timestamps: Iterable[int],
        pictures: int,
        tl0picidx: int | None,
        now: int,
    ) -> None:
        """Packets that `follow` were sent, the last of them so many sequence numbers and pictures behind the
        first. timestamps: those of all, where one differs from the one before it; they and tl0picidx as they
        came."""
        place, offset, picture, tl0_offset, _ = following
        self._last_place = place = place + steps
        self._seen = self._highest = place - self._offset
        for timestamp in timestamps:
            out_time = (timestamp + offset) & 0xFFFFFFFF
            if out_time != self.last_timestamp:
                self.last_timestamp, self._time = out_time, now
        if picture is not None:
            self._pictures.go_on(picture + pictures)
        if tl0picidx is not None:
            self._last_tl0 = (tl0picidx + tl0_offset) & 0xFF

    def _unwrap(self, sequence_number: int) -> int:
        """The number nearest to the highest so far, which it becomes when it is higher."""
        distance = (sequence_number - self._seen) & 0xFFFF
        if distance < 0x8000:
            self._seen += distance
            return self._seen
        return self._seen + distance - 0x10000

    def _start(
        self,
        sequence_number: int,
        timestamp: int,
        picture_id: int | None,
        tl0picidx: int | None,
        now: int,
        frame_number: int | None,
    ) -> None:
        """Chooses the offsets so that this packet follows the highest one sent so far."""
        self.switching = False
        self._seen = self._floor = sequence_number
        self._drops.clear()
        self._highest = sequence_number - 1  # so that this packet becomes the highest
        self._pictures.start(picture_id)
        if self._last_place is None:
            first = sequence_number & 0x7FFF if self._first is None else self._first
            self._offset = first - sequence_number
            return
        self._offset = self._last_place + 1 - sequence_number
        self.timestamp_offset = self._next_offset(timestamp, now) & 0xFFFFFFFF
        if tl0picidx is not None and self._last_tl0 is not None:
            self._tl0_offset = self._last_tl0 + 1 - tl0picidx
        if frame_number is not None and self._last_frame is not None:
            self._frame_offset = self._last_frame + 1 - frame_number

    def _next_offset(self, timestamp: int, now: int) -> int:
        """For a source that begins with `timestamp`."""
        if self._aligned is None:
            pause = min(max(now - self._time, MINIMUM_STEP), MAXIMUM_STEP)
            return self.last_timestamp + max(1, pause * self._clock_rate // 1_000_000) - timestamp
        step = (timestamp + self._aligned - self.last_timestamp) & 0xFFFFFFFF
        if step >= 0x80000000:
            step -= 0x100000000
        return self._aligned + (1 - step if step < 1 else 0)
