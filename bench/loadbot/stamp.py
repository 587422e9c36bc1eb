"""What a light member writes into its streams, so that whoever gets them can tell whose they are, how old,
and what they need.

Nothing is encoded: a frame is a valid header of its codec, a stamp and filler.
"""

from __future__ import annotations

import os
import struct
from typing import Final, NamedTuple

_FORMAT: Final = struct.Struct(">4sHBBIQHBB")
MAGIC: Final = b"\xa7HLB"
STAMP_BYTES: Final = _FORMAT.size
_KEY: Final = 0x08
_SCALABLE: Final = 0x10
_LAYERED: Final = 0x20
#: Steps of the wait before sending, in seconds.
_WAIT_STEP: Final = 1e-4

#: CELT, full band, 20 ms, mono, any number of frames (RFC 6716 section 3.1);
#: constant rate, padded, one frame.
_OPUS_HEAD: Final = bytes((0xF8 | 0x03, 0x41, STAMP_BYTES))
_SMALLEST_FRAME: Final = STAMP_BYTES + 16
_FILLER: Final = os.urandom(1 << 17).replace(MAGIC, bytes(4))


class Stamp(NamedTuple):
    """`sender` is the number of the member; `number` counts frames of one stream, of all its spatial layers,
    from 0; `sent` is when the frame left, in seconds of the monotonic clock that all processes of a machine
    share, and `waited` how long after its picture was taken (steps of 0.1 ms, 6.5 s at most). `layer` is the
    encoding or the spatial layer, from the lowest; `references` are how many numbers back the frames are that
    it needs, two at most, 1..255. `scalable`: layers are spatial ones inside one stream; `layered`: there are
    temporal ones.
    """

    sender: int
    number: int
    sent: float
    waited: float = 0.0
    layer: int = 0
    temporal: int = 0
    key: bool = False
    scalable: bool = False
    references: tuple[int, ...] = ()
    layered: bool = False

    def to_bytes(self) -> bytes:
        kind = self.temporal & 7 | (_KEY if self.key else 0) | (_SCALABLE if self.scalable else 0)
        kind |= _LAYERED if self.layered else 0
        first, second = (*self.references, 0, 0)[:2]
        return _FORMAT.pack(
            MAGIC,
            self.sender & 0xFFFF,
            self.layer & 0xFF,
            kind,
            self.number & 0xFFFFFFFF,
            max(0, int(self.sent * 1e9)),
            min(0xFFFF, max(0, round(self.waited / _WAIT_STEP))),
            first,
            second,
        )


def read_stamp(data: bytes, *, last: bool = False) -> Stamp | None:
    """The first stamp in a packet, or the last one (RED repeats older ones before it). None without any."""
    position = data.rfind(MAGIC) if last else data.find(MAGIC)
    if position < 0 or position + STAMP_BYTES > len(data):
        return None
    _, sender, layer, kind, number, sent, waited, first, second = _FORMAT.unpack_from(data, position)
    references = (first, second) if second else (first,) if first else ()
    return Stamp(
        sender,
        number,
        sent / 1e9,
        waited * _WAIT_STEP,
        layer,
        kind & 7,
        kind & _KEY != 0,
        kind & _SCALABLE != 0,
        references,
        kind & _LAYERED != 0,
    )


def vp8_frame(stamp: Stamp, size: int, height: int = 360) -> bytes:
    """A VP8 frame of `size` bytes (a few more if that is less than its headers need), at most 128 KiB.

    The frame tag is that of RFC 6386 section 9.1; decoders do not look at what follows the last partition.
    """
    size = min(max(size, _SMALLEST_FRAME), len(_FILLER))
    first_partition = min(size // 2, (1 << 19) - 1)
    head = (first_partition << 5 | 1 << 4 | (0 if stamp.key else 1)).to_bytes(3, "little")
    if stamp.key:
        head += b"\x9d\x01\x2a" + struct.pack("<HH", height * 16 // 9, height)
    return head + stamp.to_bytes() + _FILLER[: size - len(head) - STAMP_BYTES]


def plain_frame(stamp: Stamp, size: int) -> bytes:
    """A frame of a codec whose frames nobody on the way looks into (VP9, AV1)."""
    size = min(max(size, _SMALLEST_FRAME), len(_FILLER))
    return stamp.to_bytes() + _FILLER[: size - STAMP_BYTES]


def opus_packet(stamp: Stamp, size: int) -> bytes:
    """An Opus packet of 20 ms and `size` bytes whose padding (RFC 6716 section 3.2.5) is the stamp."""
    filler = max(2, size - len(_OPUS_HEAD) - STAMP_BYTES)
    return _OPUS_HEAD + _FILLER[:filler] + stamp.to_bytes()


def redundant(payload_type: int, packet: bytes, before: bytes, ticks: int) -> bytes:
    """RED (RFC 2198): `packet`, and before it the one that was sampled `ticks` (0..16383) earlier."""
    if not before:
        return bytes((payload_type,)) + packet
    head = (1 << 31 | payload_type << 24 | ticks << 10 | len(before)).to_bytes(4, "big")
    return head + bytes((payload_type,)) + before + packet
