"""What a light member writes into its streams, so that whoever gets them can tell whose they are and how old.

Nothing is encoded: a frame is a valid header of its codec, filler and, in its last bytes, a stamp.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

_FORMAT: Final = struct.Struct(">4sIIQ")
_MAGIC: Final = b"HLB1"
STAMP_BYTES: Final = _FORMAT.size

#: CELT, full band, 20 ms, mono, any number of frames (RFC 6716 section 3.1);
#: constant rate, padded, one frame.
_OPUS_HEAD: Final = bytes((0xF8 | 0x03, 0x41, STAMP_BYTES))
_KEY_HEADER: Final = b"\x9d\x01\x2a" + struct.pack("<HH", 640, 360)
_SMALLEST_FRAME: Final = STAMP_BYTES + 16
_FILLER: Final = os.urandom(1 << 17)


@dataclass(frozen=True, slots=True)
class Stamp:
    """`sender` is the number of the member, `number` counts frames of one stream from 0, `time` is when the
    frame left, in seconds of the monotonic clock that all processes of a machine share."""

    sender: int
    number: int
    time: float

    def to_bytes(self) -> bytes:
        return _FORMAT.pack(
            _MAGIC, self.sender & 0xFFFFFFFF, self.number & 0xFFFFFFFF, max(0, int(self.time * 1e9))
        )


def read_stamp(payload: bytes) -> Stamp | None:
    """The stamp at the end of a payload, None when there is none. Never raises."""
    if len(payload) < STAMP_BYTES:
        return None
    magic, sender, number, time = _FORMAT.unpack_from(payload, len(payload) - STAMP_BYTES)
    return Stamp(sender, number, time / 1e9) if magic == _MAGIC else None


def vp8_frame(stamp: Stamp, size: int, key_frame: bool) -> bytes:
    """A VP8 frame of `size` bytes (a few more if that is less than its headers need), at most 128 KiB.

    The frame tag is that of RFC 6386 section 9.1; decoders do not look at what follows the last partition.
    """
    size = min(max(size, _SMALLEST_FRAME), len(_FILLER))
    first_partition = min(size // 2, (1 << 19) - 1)
    tag = (first_partition << 5 | 1 << 4 | (0 if key_frame else 1)).to_bytes(3, "little")
    head = tag + (_KEY_HEADER if key_frame else b"")
    return head + _FILLER[: size - len(head) - STAMP_BYTES] + stamp.to_bytes()


def opus_packet(stamp: Stamp, size: int) -> bytes:
    """An Opus packet of 20 ms and `size` bytes whose padding (RFC 6716 section 3.2.5) is the stamp."""
    filler = max(2, size - len(_OPUS_HEAD) - STAMP_BYTES)
    return _OPUS_HEAD + _FILLER[:filler] + stamp.to_bytes()
