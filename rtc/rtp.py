"""RTP packets (RFC 3550 section 5.1) with header extensions (RFC 8285), read and written.

The forwarding path does this for every packet, so it works on slices of the datagram and one `Struct`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Final

from rtc.errors import PacketError

HEADER_SIZE: Final = 12
ONE_BYTE_PROFILE: Final = 0xBEDE
TWO_BYTE_PROFILE: Final = 0x1000

#: The fixed header: flags and counts, marker and payload type, sequence number, timestamp, SSRC.
HEADER: Final = Struct("!BBHII")
_EXTENSION_HEADER: Final = Struct("!HH")


def is_rtcp(data: bytes) -> bool:
    """True when a datagram of a multiplexed session is RTCP: second octet 192..223 (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet.

    payload_type 0..127, sequence_number 0..65535, timestamp and ssrc 0..2**32-1; at most 15 csrc;
    extensions maps id (1..255) to value (0..255 bytes). Padding is not kept.
    """

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes
    csrc: tuple[int, ...] = ()
    extensions: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Reads a datagram. Raises PacketError when it is not RTP version 2 or a length in it lies."""
        size = len(data)
        if size < HEADER_SIZE:
            raise PacketError("RTP packet is shorter than its header")
        first, second, sequence_number, timestamp, ssrc = HEADER.unpack_from(data)
        if first & 0xC0 != 0x80:
            raise PacketError("RTP packet is not version 2")
        position = HEADER_SIZE
        csrc: tuple[int, ...] = ()
        if first & 0x0F:
            position += 4 * (first & 0x0F)
            if size < position:
                raise PacketError("RTP packet ends inside its contributing sources")
            csrc = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(HEADER_SIZE, position, 4))
        extensions: dict[int, bytes] = {}
        if first & 0x10:
            if size < position + 4:
                raise PacketError("RTP packet ends inside its extension header")
            profile, words = _EXTENSION_HEADER.unpack_from(data, position)
            start = position + 4
            position = start + 4 * words
            if size < position:
                raise PacketError("RTP packet ends inside its extensions")
            if profile == ONE_BYTE_PROFILE:
                _read_one_byte(data, start, position, extensions)
            elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
                _read_two_byte(data, start, position, extensions)
        if first & 0x20:
            padding = data[-1]
            if padding == 0 or position + padding > size:
                raise PacketError("RTP packet has a padding length that lies")
            size -= padding
        return cls(
            second & 0x7F,
            sequence_number,
            timestamp,
            ssrc,
            second > 0x7F,
            data[position:size],
            csrc,
            extensions,
        )

    def serialize(self) -> bytes:
        """The datagram. Raises PacketError when an extension or the csrc list does not fit the format."""
        first = 0x80
        second = self.payload_type | 0x80 if self.marker else self.payload_type
        if not self.extensions and not self.csrc:
            return HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc) + self.payload
        parts = [b""]
        if self.csrc:
            if len(self.csrc) > 15:
                raise PacketError("RTP packet has more than 15 contributing sources")
            first |= len(self.csrc)
            parts.extend(source.to_bytes(4, "big") for source in self.csrc)
        if self.extensions:
            first |= 0x10
            parts.append(serialize_extensions(self.extensions))
        parts[0] = HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)
        parts.append(self.payload)
        return b"".join(parts)


def serialize_extensions(extensions: dict[int, bytes]) -> bytes:
    """The extension block with its header: one-byte form when every id is 1..14 and every value 1..16 bytes,
    else two-byte form (RFC 8285 sections 4.2, 4.3). Raises PacketError for an id or a value out of range.
    """
    items = tuple(extensions.items())
    return _remembered_block(items) if len(items) <= 3 else _block(items)


def _block(items: tuple[tuple[int, bytes], ...]) -> bytes:
    body = b""
    profile = ONE_BYTE_PROFILE
    for identity, value in items:
        length = len(value)
        if not (1 <= identity <= 14 and 1 <= length <= 16):
            profile, body = TWO_BYTE_PROFILE, _two_byte_body(items)
            break
        body += bytes((identity << 4 | length - 1,)) + value
    words = (len(body) + 3) // 4
    return _EXTENSION_HEADER.pack(profile, words) + body + bytes(4 * words - len(body))


#: Streams write the same mid and one of 256 audio levels again and again. 1,024 blocks are under 1 MB; fewer
#: cost a microsecond more for each packet when many streams talk in turns.
_remembered_block = lru_cache(maxsize=1024)(_block)


def _two_byte_body(items: tuple[tuple[int, bytes], ...]) -> bytes:
    body = bytearray()
    for identity, value in items:
        if not 1 <= identity <= 255 or len(value) > 255:
            raise PacketError("RTP extension id or length is out of range")
        body.append(identity)
        body.append(len(value))
        body += value
    return bytes(body)


def _read_one_byte(data: bytes, position: int, end: int, into: dict[int, bytes]) -> None:
    while position < end:
        head = data[position]
        position += 1
        if head == 0:  # padding between elements
            continue
        identity = head >> 4
        if identity == 15:  # reserved: what follows must not be read
            return
        stop = position + (head & 0x0F) + 1
        if stop > end:
            raise PacketError("RTP extension ends outside its block")
        if identity:
            into[identity] = data[position:stop]
        position = stop


def _read_two_byte(data: bytes, position: int, end: int, into: dict[int, bytes]) -> None:
    while position < end:
        identity = data[position]
        position += 1
        if identity == 0:
            continue
        if position >= end:
            raise PacketError("RTP extension ends outside its block")
        stop = position + 1 + data[position]
        if stop > end:
            raise PacketError("RTP extension ends outside its block")
        into[identity] = data[position + 1 : stop]
        position = stop
