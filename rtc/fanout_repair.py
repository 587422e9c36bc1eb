"""What a destination of the Python twin sends again: repairs and probes (docs/fanout.md, "Repair")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rtc.fanout import CACHE_AGE, HISTORY_PACKETS, REPAIRS_PER_SECOND, Codec, DestinationPlan
from rtc.fanout_extensions import ExtensionWriter
from rtc.fanout_outgoing import Outgoing
from rtc.fanout_output import Output
from rtc.fanout_peer import Bucket, Peer
from rtc.packet_reader import Packet, red_with_type

_RED: Final = int(Codec.RED)
_OPAQUE: Final = int(Codec.OPAQUE)

#: A packet of padding only: 254 zeros and their number with itself (RFC 3550 section 5.1).
_PADDING: Final = bytes(254) + b"\xff"

#: What is remembered of a packet of video, to send it again: its sequence number and timestamp as sent, who
#: sent it, its place in that one's ring, the time, the marker (0x80 or 0), and picture id, TL0PICIDX and
#: frame number as sent (the first two None where they are as they came). A plain tuple, for there is one for
#: each packet.
Sent = tuple[int, int, Peer, int, int, int, int | None, int | None, int | None]

Types = Mapping[int, tuple[int, int]]  # codec: payload type, RTX payload type or 0


def with_numbers(payload: bytes, packet: Packet, picture: int | None, tl0: int | None) -> bytes:
    """The payload of the packet, or what begins with it, with these written in; None stays as it is."""
    changed = bytearray(payload)
    if picture is not None:
        at = packet.picture_at
        if packet.picture_bits == 15:
            changed[at], changed[at + 1] = 0x80 | picture >> 8, picture & 0xFF
        else:
            changed[at] = picture & 0x7F
    if tl0 is not None:
        changed[packet.tl0_at] = tl0
    return bytes(changed)


def payload_with(packet: Packet, types: Types, picture: int | None, tl0: int | None) -> bytes:
    """The payload with a receiver's numbers in it, None where they are as they came."""
    payload = packet.payload
    if packet.codec == _RED:
        opaque = types.get(_OPAQUE)
        return payload if opaque is None else red_with_type(payload, opaque[0])
    same_picture = picture is None or picture == packet.picture_id
    if same_picture and (tl0 is None or tl0 == packet.tl0picidx):
        return payload
    return with_numbers(payload, packet, picture, tl0)


def descriptor_with(packet: Packet, frame_number: int | None) -> bytes:
    """The dependency descriptor with a receiver's frame number; empty where there is none."""
    if packet.descriptor is None or frame_number is None:
        return b""
    was = packet.descriptor_value
    return was[:1] + frame_number.to_bytes(2, "big") + was[3:]


class Repairs:
    """What a destination sends under its repair SSRC, and what it remembers for it."""

    __slots__ = (
        "_bucket",
        "_output",
        "_peer",
        "_plan",
        "_sequence",
        "_types",
        "count",
        "extensions",
        "history",
        "rtx_type",
    )

    def __init__(
        self, peer: Peer, plan: DestinationPlan, types: Types, extensions: ExtensionWriter, output: Output
    ) -> None:
        self._peer, self._plan, self._types, self._output = peer, plan, types, output
        self.extensions = extensions
        #: By sequence number modulo HISTORY_PACKETS, once there is one; nothing where nothing is repaired.
        self.history: list[Sent | None] = []
        self._sequence = 1  # of the next repair
        #: That of the latest packet's codec; before there was one, of the first codec that has any.
        self.rtx_type = next((rtx for _, (_, rtx) in sorted(types.items()) if rtx), 0)
        self._bucket: Final = Bucket(REPAIRS_PER_SECOND)
        self.count = 0

    def remember(self) -> list[Sent | None] | None:
        """Where what is sent is to be written, None where nothing is repaired."""
        if not (self._plan.video and self._plan.rtx_ssrc):
            return None
        if not self.history:
            self.history = [None] * HISTORY_PACKETS
        return self.history

    def _find(self, sequence: int, now: int) -> tuple[Sent, Packet] | None:
        sent = self.history[sequence % HISTORY_PACKETS] if self.history else None
        if sent is None:
            return None
        number, _, sender, place, time, *_ = sent
        if number != sequence or now - time > CACHE_AGE:
            return None
        packet = sender.kept(place)
        return None if packet is None else (sent, packet)

    def repair(self, sequence: int, now: int) -> bool:
        """Sends the packet again that had that sequence number; whether it did."""
        found = self._find(sequence, now)
        if found is None or not self._types[found[1].codec][1] or not self._bucket.take(now):
            return False
        if not self._again(*found, now, 0):
            return False
        self.count += 1
        self._output.counters["repairs"] += 1
        return True

    @property
    def flows(self) -> bool:
        """Whether it can carry a probe."""
        return bool(self._plan.video and self._plan.rtx_ssrc and self.rtx_type)

    def probe_latest(self, newest: int, cluster: int, now: int) -> Iterator[int]:
        """Sends the latest packets again, from sequence number `newest` back; bytes of each, 0 when one could
        not be sent. What waits itself is not repeated: it would come before what it repeats, as if that had
        been lost."""
        oldest = self._peer.pacer.oldest
        for back in range(HISTORY_PACKETS if self.history else 0):
            found = self._find((newest - back) & 0xFFFF, now)
            if found is None or not self._types[found[1].codec][1]:
                continue
            _, _, _, _, time, *_ = found[0]
            if oldest is None or time < oldest:
                yield self._again(*found, now, cluster)

    def probe_padding(self, timestamp: int, cluster: int, now: int) -> int:
        """Sends 255 bytes of padding; bytes of the datagram, 0 when it could not be sent."""
        return self._send(0xA0, self.rtx_type, timestamp, _PADDING, now, cluster)

    def _again(self, sent: Sent, packet: Packet, now: int, cluster: int) -> int:
        number, timestamp, _, _, _, marker, picture, tl0, frame_number = sent
        payload = number.to_bytes(2, "big") + payload_with(packet, self._types, picture, tl0)
        second = self._types[packet.codec][1] | marker
        # Without it a receiver could not tell what the repaired frame refers to.
        descriptor = descriptor_with(packet, frame_number)
        return self._send(0x80, second, timestamp, payload, now, cluster, descriptor)

    def _send(
        self,
        first: int,
        second: int,
        timestamp: int,
        payload: bytes,
        now: int,
        cluster: int,
        descriptor: bytes = b"",
    ) -> int:
        outgoing = Outgoing(
            first,
            second,
            self._sequence,
            timestamp,
            self._plan.rtx_ssrc,
            self.extensions,
            -1,
            descriptor,
            payload,
            cluster,
        )
        size = self._output.paced(self._peer, outgoing, now, first=True)
        if size:
            self._sequence = (self._sequence + 1) & 0xFFFF
        return size
