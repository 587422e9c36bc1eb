"""Picture ids of one source made to follow those of the source before it, without the dropped pictures.

docs/rewriting.md tells the rules. VP8 decoders take a leap of the picture id for a lost picture.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

#: Dropped pictures that are remembered: 64 are 4 s of 30 pictures a second of which every second one is
#: dropped. More lets pictures through that come even later, and costs 8 bytes each.
REMEMBERED_PICTURES: Final = 64


class PictureIds:
    """The offset of a source's picture ids (7 or 15 bits), and the pictures that are left out."""

    __slots__ = ("_drops", "_floor", "_highest", "_last", "_offset", "_seen")

    def __init__(self) -> None:
        self._drops: list[int] = []  # unwrapped ids, ascending
        self._floor: int | None = (
            None  # the lowest unwrapped id that can be mapped, once drops were forgotten
        )
        self._seen: int | None = None  # the highest unwrapped id of the source, forwarded or dropped
        self._highest: int | None = None  # the highest unwrapped id that was forwarded
        self._offset = 0  # output minus input, behind all remembered drops
        self._last: int | None = None  # what the newest packet with an id was given

    def start(self, picture_id: int | None) -> None:
        """Another source begins; where its first packet has an id, that one follows the last one sent."""
        self._drops.clear()
        self._floor = self._seen = self._highest = None
        if picture_id is not None and self._last is not None:
            self._offset = self._last + 1 - picture_id

    def drop(self, picture_id: int, bits: int) -> None:
        """This picture is left out: those behind it close up. Not if a part of it, or a later one, is out."""
        picture = self._unwrap(picture_id, bits)
        if self._highest is not None and picture <= self._highest:
            return
        drops = self._drops
        index = bisect_left(drops, picture)
        if index < len(drops) and drops[index] == picture:
            return
        drops.insert(index, picture)
        self._offset -= 1
        if len(drops) > REMEMBERED_PICTURES:
            half = REMEMBERED_PICTURES // 2
            self._floor = drops[half - 1] + 1
            del drops[:half]

    def rewrite(self, picture_id: int, bits: int, newest: bool) -> int | None:
        """15 bits of the id as the receiver sees it; None when the picture was left out or is too old.

        newest: it stands in the packet with the highest sequence number so far.
        """
        picture = self._unwrap(picture_id, bits)
        if self._floor is not None and picture < self._floor:
            return None
        place = picture + self._offset
        drops = self._drops
        if drops and picture <= drops[-1]:
            index = bisect_left(drops, picture)
            if drops[index] == picture:
                return None
            place += len(drops) - index
        if self._highest is None or picture > self._highest:
            self._highest = picture
        place &= 0x7FFF
        if newest:
            self._last = place
        return place

    def follow(self, picture_id: int, bits: int) -> int | None:
        """What a picture becomes that is not before any other, unwrapped; None where `rewrite` has to tell.
        Changes nothing: that is for `go_on`."""
        seen, drops = self._seen, self._drops
        if seen is None:
            return None
        distance = (picture_id - seen) & ((1 << bits) - 1)
        picture = seen + distance
        if distance >= 1 << bits - 1 or (drops and picture <= drops[-1]):
            return None
        return picture + self._offset

    def go_on(self, place: int) -> None:
        """What `follow` told, or a later picture of the same run, is sent."""
        self._seen = self._highest = place - self._offset
        self._last = place & 0x7FFF

    def _unwrap(self, picture_id: int, bits: int) -> int:
        seen = self._seen
        if seen is None:
            self._seen = picture_id
            return picture_id
        distance = (picture_id - seen) & ((1 << bits) - 1)
        if distance < 1 << bits - 1:
            self._seen = seen + distance
            return seen + distance
        return seen + distance - (1 << bits)
