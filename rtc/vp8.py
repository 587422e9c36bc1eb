"""VP8 in RTP (RFC 7741): the payload descriptor, cutting frames into payloads and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtc.errors import PacketError

#: Bytes of one payload, descriptor included. With RTP header, extensions, RTX and SRTP this stays under
#: 1,280 bytes, what every IPv6 path carries. Higher means fewer packets, and losses on narrow paths.
MAX_PAYLOAD: Final = 1180

_START_CODE: Final = b"\x9d\x01\x2a"


@dataclass(slots=True)
class Vp8Descriptor:
    """What stands before the VP8 data in each packet (RFC 7741 section 4.2).

    partition 0..7; picture_id 0..32767 (0..127 when not wide); tl0picidx 0..255; tid 0..3; keyidx 0..31.
    `layer_sync` only travels with `tid`.
    """

    start: bool
    partition: int = 0
    picture_id: int | None = None
    tl0picidx: int | None = None
    tid: int | None = None
    layer_sync: bool = False
    keyidx: int | None = None
    non_reference: bool = False
    wide_picture_id: bool = True

    @property
    def starts_frame(self) -> bool:
        """True for the first packet of a frame: start of partition 0."""
        return self.start and self.partition == 0

    @classmethod
    def parse(cls, payload: bytes) -> tuple[Vp8Descriptor, int]:
        """The descriptor and its size in bytes. Raises PacketError when the payload ends inside it."""
        try:
            first = payload[0]
            descriptor = cls(first & 0x10 != 0, first & 0x07, non_reference=first & 0x20 != 0)
            if first < 0x80:
                return descriptor, 1
            present = payload[1]
            position = 2
            if present & 0x80:
                picture_id = payload[position]
                position += 1
                if picture_id & 0x80:
                    picture_id = (picture_id & 0x7F) << 8 | payload[position]
                    position += 1
                else:
                    descriptor.wide_picture_id = False
                descriptor.picture_id = picture_id
            if present & 0x40:
                descriptor.tl0picidx = payload[position]
                position += 1
            if present & 0x30:
                layers = payload[position]
                position += 1
                if present & 0x20:
                    descriptor.tid = layers >> 6
                    descriptor.layer_sync = layers & 0x20 != 0
                if present & 0x10:
                    descriptor.keyidx = layers & 0x1F
        except IndexError as error:
            raise PacketError("VP8 payload ends inside its descriptor") from error
        return descriptor, position

    def serialize(self) -> bytes:
        """The bytes before the VP8 data."""
        first = self.partition | (0x10 if self.start else 0) | (0x20 if self.non_reference else 0)
        present = 0
        fields = bytearray()
        if self.picture_id is not None:
            present |= 0x80
            if self.wide_picture_id:
                fields.append(0x80 | self.picture_id >> 8 & 0x7F)
                fields.append(self.picture_id & 0xFF)
            else:
                fields.append(self.picture_id & 0x7F)
        if self.tl0picidx is not None:
            present |= 0x40
            fields.append(self.tl0picidx)
        if self.tid is not None or self.keyidx is not None:
            layers = self.keyidx or 0
            if self.tid is not None:
                present |= 0x20
                layers |= self.tid << 6 | (0x20 if self.layer_sync else 0)
            if self.keyidx is not None:
                present |= 0x10
            fields.append(layers)
        if not present:
            return bytes((first,))
        return bytes((first | 0x80, present)) + fields


def depacketize(payload: bytes) -> tuple[Vp8Descriptor, bytes]:
    """Descriptor and VP8 data of one payload. Raises PacketError when there is no data behind it."""
    descriptor, size = Vp8Descriptor.parse(payload)
    if size >= len(payload):
        raise PacketError("VP8 payload carries no data")
    return descriptor, payload[size:]


def is_key_frame(data: bytes) -> bool:
    """True when VP8 data, taken from the start of a frame, begins a key frame (RFC 6386 section 9.1)."""
    return len(data) >= 10 and not data[0] & 1 and data[3:6] == _START_CODE


def frame_height(data: bytes) -> int | None:
    """Height in pixels of a key frame from its first bytes; None for other data (RFC 6386 section 9.1)."""
    return int.from_bytes(data[8:10], "little") & 0x3FFF if is_key_frame(data) else None


def starts_key_frame(payload: bytes) -> bool:
    """True when this payload, descriptor included, is the first of a key frame. Never raises."""
    if not payload or payload[0] & 0x17 != 0x10:  # start of partition 0
        return False
    try:
        size = Vp8Descriptor.parse(payload)[1]
    except PacketError:
        return False
    return is_key_frame(payload[size : size + 10])


def packetize(
    frame: bytes, picture_id: int | None, max_payload: int = MAX_PAYLOAD, tl0picidx: int | None = None
) -> list[bytes]:
    """Cuts a frame into payloads of nearly equal size, each at most max_payload bytes (>= 16).

    An empty frame gives no payloads. picture_id 0..32767 or None.
    """
    head = Vp8Descriptor(True, 0, picture_id, tl0picidx).serialize()
    rest = Vp8Descriptor(False, 0, picture_id, tl0picidx).serialize()
    room = max_payload - len(head)
    if room < 1:
        raise ValueError("max_payload leaves no room for data")
    count = -(-len(frame) // room)
    payloads = []
    for index in range(count):
        begin, end = index * len(frame) // count, (index + 1) * len(frame) // count
        payloads.append((rest if index else head) + frame[begin:end])
    return payloads


def rewrite_vp8(payload: bytes, picture_id: int | None, tl0picidx: int | None) -> bytes:
    """The payload with picture id and TL0PICIDX replaced in their places; the rest is not looked at.

    A field that is None here or absent there stays as it is. A 7-bit picture id gets the low 7 bits.
    Raises PacketError when the payload ends inside the descriptor.
    """
    try:
        if payload[0] < 0x80:
            return payload
        present = payload[1]
        if not present & 0xC0:
            return payload
        out = bytearray(payload)
        position = 2
        if present & 0x80:
            wide = out[2] & 0x80
            if picture_id is not None:
                if wide:
                    out[2] = 0x80 | picture_id >> 8 & 0x7F
                    out[3] = picture_id & 0xFF
                else:
                    out[2] = picture_id & 0x7F
            position = 4 if wide else 3
        if present & 0x40 and tl0picidx is not None:
            out[position] = tl0picidx & 0xFF
    except IndexError as error:
        raise PacketError("VP8 payload ends inside its descriptor") from error
    return bytes(out)
