"""Reads a datagram of RTP into what the forwarding plane needs of it (docs/fanout.md, "Reading RTP")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtc import av1, h264, vp8
from rtc.dependency_descriptor import Descriptor
from rtc.fanout import Codec, ExtensionIds, Flag, Kind, Record
from rtc.rtp import HEADER, HEADER_SIZE, RtpPacket
from rtc.vp8 import Vp8Descriptor
from rtc.vp9 import Vp9Descriptor

#: Where a packet does not say how loud it is.
NO_LEVEL: Final = 255

_MARKER: Final = int(Flag.MARKER)
_REPAIRED: Final = int(Flag.REPAIRED)
_EMPTY: Final = int(Flag.EMPTY)
_FRAME_START: Final = int(Flag.FRAME_START)
_FRAME_END: Final = int(Flag.FRAME_END)
_KEY_START: Final = int(Flag.KEY_START)
_SWITCH_UP: Final = int(Flag.SWITCH_UP)
_VOICE: Final = int(Flag.VOICE)


class Packet:
    """One datagram of a batch, with all that forwarding asks for. `stream` is a handle, -1 for none."""

    __slots__ = (
        "address",
        "cached",
        "codec",
        "data",
        "descriptor",
        "descriptor_value",
        "flags",
        "kind",
        "level",
        "payload",
        "payload_type",
        "peer",
        "picture_at",
        "picture_bits",
        "picture_id",
        "sequence",
        "spatial",
        "ssrc",
        "start",
        "stream",
        "temporal",
        "timestamp",
        "tl0_at",
        "tl0picidx",
        "transport_wide",
    )

    def __init__(self, kind: Kind, data: bytes, address: bytes, peer: int) -> None:
        self.kind, self.data, self.address, self.peer = int(kind), data, address, peer
        self.stream = -1
        self.codec = self.payload_type = self.temporal = self.spatial = self.flags = 0
        self.level = NO_LEVEL
        self.sequence = self.timestamp = self.ssrc = 0
        self.payload = data
        self.start = 0  # of the payload in data
        self.picture_id: int | None = None
        self.picture_bits = self.picture_at = 0
        self.tl0picidx: int | None = None
        self.tl0_at = 0
        self.transport_wide: int | None = None
        self.descriptor: Descriptor | None = None
        self.descriptor_value = b""  # as it came
        self.cached = -1  # its place in the sender's ring

    def record(self) -> Record:
        return Record(
            self.kind,
            self.codec,
            self.payload_type,
            self.temporal,
            self.spatial,
            self.level,
            self.flags,
            self.sequence,
            len(self.payload),
            self.timestamp,
            self.ssrc,
            self.peer,
            self.stream,
        )


def has_room(data: bytes, minimum: int) -> bool:
    """Whether a datagram, sealed or not, is long enough for `minimum` bytes and for the contributing sources
    and extensions that an RTP header announces (neither is encrypted)."""
    size = len(data)
    if size < minimum:
        return False
    end = HEADER_SIZE + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if size < end + 4:
            return False
        end += 4 + 4 * (data[end + 2] << 8 | data[end + 3])
    return size >= end


def read_header(packet: Packet, ids: ExtensionIds) -> None:
    """Fills in what header and extensions say. Raises PacketError as RtpPacket.parse does."""
    rtp = RtpPacket.parse(packet.data)
    packet.payload_type, packet.sequence = rtp.payload_type, rtp.sequence_number
    packet.timestamp, packet.ssrc = rtp.timestamp, rtp.ssrc
    packet.payload = rtp.payload
    data = packet.data
    packet.start = HEADER_SIZE + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        packet.start += 4 + 4 * (data[packet.start + 2] << 8 | data[packet.start + 3])
    flags = _MARKER if rtp.marker else 0
    if not rtp.payload:
        flags |= _EMPTY
    extensions = rtp.extensions
    if extensions:
        value = extensions.get(ids.level)
        if value:
            packet.level = value[0] & 0x7F
            if value[0] & 0x80:
                flags |= _VOICE
        value = extensions.get(ids.transport_wide)
        if value and len(value) >= 2:
            packet.transport_wide = value[0] << 8 | value[1]
        packet.descriptor_value = extensions.get(ids.dependency, b"")
    packet.flags = flags


def become_original(packet: Packet, payload_type: int, ssrc: int) -> None:
    """Turns a retransmission with 2 bytes of payload or more into what was sent first (RFC 4588)."""
    data, payload, start = packet.data, packet.payload, packet.start
    packet.sequence = payload[0] << 8 | payload[1]
    packet.payload_type, packet.ssrc = payload_type, ssrc
    packet.payload = payload[2:]
    head = HEADER.pack(data[0], data[1] & 0x80 | payload_type, packet.sequence, packet.timestamp, ssrc)
    packet.data = head + data[HEADER_SIZE:start] + data[start + 2 :]
    packet.flags |= _REPAIRED
    if not packet.payload:
        packet.flags |= _EMPTY


def read_payload(packet: Packet) -> None:
    """Fills in what the payload says, by `packet.codec`; `packet.descriptor` goes before what VP9 and AV1
    say themselves. Raises PacketError when a payload descriptor ends too soon."""
    if packet.flags & _EMPTY:
        packet.descriptor = None
        return
    reader = _READERS.get(packet.codec)
    if reader is None:
        packet.flags |= _FRAME_START | _FRAME_END
        return
    reader(packet)
    descriptor = packet.descriptor
    if descriptor is not None:
        packet.flags &= ~(_FRAME_START | _FRAME_END | _KEY_START | _SWITCH_UP)
        packet.flags |= int(Flag.DESCRIBED)
        packet.spatial, packet.temporal = descriptor.spatial, descriptor.temporal
        if descriptor.start:
            packet.flags |= _FRAME_START
            if descriptor.attached and descriptor.spatial == 0:
                packet.flags |= _KEY_START
        if descriptor.end:
            packet.flags |= _FRAME_END


def _read_vp8(packet: Packet) -> None:
    payload = packet.payload
    descriptor, size = Vp8Descriptor.parse(payload)
    packet.picture_id, packet.tl0picidx = descriptor.picture_id, descriptor.tl0picidx
    if descriptor.picture_id is not None:
        packet.picture_at, packet.picture_bits = 2, 15 if descriptor.wide_picture_id else 7
    if descriptor.tl0picidx is not None:
        packet.tl0_at = 2 + (packet.picture_bits + 1) // 8
    packet.temporal = descriptor.tid or 0
    flags = packet.flags
    if descriptor.starts_frame:
        flags |= _FRAME_START
        if vp8.is_key_frame(payload[size : size + 10]):
            flags |= _KEY_START
    if descriptor.layer_sync:
        flags |= _SWITCH_UP
    if flags & _MARKER:
        flags |= _FRAME_END
    packet.flags = flags


def _read_h264(packet: Packet) -> None:
    if h264.starts_key_frame(packet.payload):
        packet.flags |= _KEY_START | _FRAME_START
    if packet.flags & _MARKER:
        packet.flags |= _FRAME_END


def _read_vp9(packet: Packet) -> None:
    descriptor = Vp9Descriptor.parse(packet.payload)
    packet.picture_id, packet.picture_bits = descriptor.picture_id, descriptor.picture_bits
    packet.picture_at = 1
    packet.tl0picidx, packet.tl0_at = descriptor.tl0picidx, descriptor.tl0_at
    packet.temporal, packet.spatial = descriptor.temporal, descriptor.spatial
    if descriptor.switch_up:
        packet.flags |= _SWITCH_UP
    if descriptor.start:
        packet.flags |= _FRAME_START
    if descriptor.end:
        packet.flags |= _FRAME_END
    if descriptor.starts_key_frame:
        packet.flags |= _KEY_START


def _read_av1(packet: Packet) -> None:
    if av1.starts_sequence(packet.payload):
        packet.flags |= _KEY_START | _FRAME_START
    if packet.flags & _MARKER:
        packet.flags |= _FRAME_END


_READERS: Final[dict[int, Callable[[Packet], None]]] = {
    Codec.VP8: _read_vp8,
    Codec.H264: _read_h264,
    Codec.VP9: _read_vp9,
    Codec.AV1: _read_av1,
}


def red_with_type(payload: bytes, payload_type: int) -> bytes:
    """A RED payload (RFC 2198) whose blocks all have that payload type; one that ends within its block
    headers is changed as far as it goes."""
    changed = bytearray(payload)
    for position in range(0, len(payload), 4):
        more = payload[position] & 0x80
        changed[position] = more | payload_type
        if not more:
            break
    return bytes(changed)
