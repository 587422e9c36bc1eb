"""Neighbouring packets of one stream on their way to all its destinations: what is the same for each of these
is worked out once (docs/fanout.md, "A packet goes out")."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtc.fanout import EVEN_BYTES, MAX_EVENING, Codec, Flag
from rtc.fanout_extensions import PREFIX_BYTES
from rtc.packet_reader import NO_LEVEL, Packet
from rtc.srtp_session import SEALING_ROOM

_EMPTY: Final = int(Flag.EMPTY)
_MARKER: Final = int(Flag.MARKER)
_VOICE: Final = int(Flag.VOICE)
#: Codecs whose packets say all that is asked of them in the fields below.
_SIMPLE: Final = frozenset((int(Codec.OPAQUE), int(Codec.VP8), int(Codec.H264)))

#: First byte of the header without the bit for extensions, and where the packet has padding.
_PLAIN: Final = 0x80
_PADDED: Final = 0xA0


class Part(NamedTuple):
    """A packet of a straight run, as each destination sends it."""

    packet: Packet
    steps: int  # sequence numbers behind the first of the run
    pictures: int  # picture ids behind it
    timestamp: int
    marker: int  # 0x80 or 0
    level: int  # as it is written, -1 for none
    first: int  # byte of the header, without the bit for extensions
    body: bytes  # with padding
    octets: int  # without


def level_byte(packet: Packet) -> int:
    """The level as it is written, -1 for none."""
    if packet.level == NO_LEVEL:
        return -1
    return packet.level | 0x80 if packet.flags & _VOICE else packet.level


def evened(payload: bytes, even: int) -> bytes | None:
    """The payload with padding up to `even` bytes; None where it goes out as it is."""
    missing = even - len(payload)
    if not 0 < missing <= MAX_EVENING or even > EVEN_BYTES:
        return None
    return payload + bytes(missing - 1) + bytes((missing,))


class Run:
    """At least one packet. `straight`: they come one behind the other in numbers and pictures, and forwarding
    them asks for nothing but these, the time and the layers."""

    __slots__ = (
        "even",
        "packets",
        "pictures",
        "room",
        "sound",
        "spatial",
        "steps",
        "straight",
        "temporal",
        "times",
        "tl0picidx",
        "video",
    )

    def __init__(self, packets: list[Packet]) -> None:
        self.packets: Final = packets
        #: Bytes of the largest payload.
        self.even: Final = max([len(packet.payload) for packet in packets])
        #: Of the packets, the highest.
        self.temporal = self.spatial = 0
        #: Sequence numbers and picture ids from the first to the last.
        self.steps = self.pictures = 0
        #: Timestamps, where one differs from the one before it.
        self.times: Final = [packets[0].timestamp]
        #: Of the last one.
        self.tl0picidx: Final = packets[-1].tl0picidx
        #: Of a straight run, for destinations of sound.
        self.sound: Final[list[Part]] = []
        self.straight: Final = self._is_straight()
        #: The same for those of video, where all but the last are made even.
        self.video: Final = [*map(self._even, self.sound[:-1]), *self.sound[-1:]]
        #: Bytes that hold all of it sealed.
        self.room: Final = len(packets) * (self.even + PREFIX_BYTES + SEALING_ROOM)

    def _is_straight(self) -> bool:
        first = before = self.packets[0]
        if first.codec not in _SIMPLE:
            return False
        bits, indexed = first.picture_bits, first.tl0picidx is None
        steps = pictures = 0
        for packet in self.packets:
            if packet.codec != first.codec or packet.flags & _EMPTY:
                return False
            if packet.picture_bits != bits or (packet.tl0picidx is None) != indexed:
                return False
            if packet is not before:
                ahead = (packet.sequence - before.sequence) & 0xFFFF
                if not 0 < ahead < 0x8000:
                    return False
                steps += ahead
            if packet.picture_id is not None and before.picture_id is not None:
                later = (packet.picture_id - before.picture_id) & ((1 << bits) - 1)
                if later >= 1 << bits - 1:
                    return False
                pictures += later
            self.sound.append(self._part(packet, steps, pictures))
            self.temporal = max(self.temporal, packet.temporal)
            self.spatial = max(self.spatial, packet.spatial)
            if packet.timestamp != before.timestamp:
                self.times.append(packet.timestamp)
            before = packet
        self.steps, self.pictures = steps, pictures
        return True

    def _part(self, packet: Packet, steps: int, pictures: int) -> Part:
        return Part(
            packet,
            steps,
            pictures,
            packet.timestamp,
            0x80 if packet.flags & _MARKER else 0,
            level_byte(packet),
            _PLAIN,
            packet.payload,
            len(packet.payload),
        )

    def _even(self, part: Part) -> Part:
        body = evened(part.body, self.even)
        return part if body is None else part._replace(first=_PADDED, body=body)
