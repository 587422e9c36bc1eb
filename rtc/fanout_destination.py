"""One destination of the Python twin: which packets it gets, their numbers, and their repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rtc.fanout import (
    CACHE_AGE,
    EVEN_BYTES,
    HISTORY_PACKETS,
    MAX_EVENING,
    REPAIRS_PER_SECOND,
    Codec,
    DestinationPlan,
    DestinationState,
    Flag,
)
from rtc.fanout_extensions import ExtensionWriter
from rtc.fanout_layers import LayerFilter
from rtc.fanout_outgoing import Outgoing
from rtc.fanout_output import Output
from rtc.fanout_peer import Bucket, Peer, Stream
from rtc.fanout_red import primary
from rtc.packet_reader import NO_LEVEL, Packet, red_with_type
from rtc.rewrite import Rewritten, StreamRewriter

_EMPTY: Final = int(Flag.EMPTY)
_UNNUMBERED: Final = int(Flag.EMPTY | Flag.REPAIRED)
_KEY_START: Final = int(Flag.KEY_START)
_MARKER: Final = int(Flag.MARKER)
_VOICE: Final = int(Flag.VOICE)
_VP8: Final = int(Codec.VP8)
_RED: Final = int(Codec.RED)
_OPAQUE: Final = int(Codec.OPAQUE)

#: A packet of padding only: 254 zeros and their number with itself (RFC 3550 section 5.1).
_PADDING: Final = bytes(254) + b"\xff"


class Sent(NamedTuple):
    """What a destination remembers of a packet of video, to send it again."""

    sender: Peer
    place: int  # in the sender's ring
    time: int
    marker: int  # 0x80 or 0
    numbers: Rewritten


class Destination:
    """What leaves under one SSRC: `current` flows, `wanted` is to flow."""

    __slots__ = (
        "_bucket",
        "_dropped",
        "_extensions",
        "_history",
        "_layers",
        "_octets",
        "_output",
        "_packets",
        "_repairs",
        "_rewriter",
        "_rtx_sequence",
        "_rtx_type",
        "_types",
        "current",
        "handle",
        "peer",
        "plan",
        "wanted",
    )

    def __init__(self, handle: int, peer: Peer, plan: DestinationPlan, output: Output) -> None:
        self.handle, self.peer, self.plan = handle, peer, plan
        self._output: Final = output
        self._types = {int(codec): types for codec, types in plan.codecs.items()}
        self.current: Stream | None = None
        self.wanted: Stream | None = None
        self._rewriter: Final = StreamRewriter(plan.clock_rate)
        self._layers: Final = LayerFilter()
        self._history: list[Sent | None] = []  # by sequence number modulo HISTORY_PACKETS, once there is one
        self._rtx_sequence = 1  # of the next repair
        # That of the latest packet's codec; before there was one, of the first codec that has any.
        self._rtx_type = next((rtx for _, (_, rtx) in sorted(self._types.items()) if rtx), 0)
        self._bucket: Final = Bucket(REPAIRS_PER_SECOND)
        self._packets = self._octets = self._repairs = self._dropped = 0
        self.lay_out()

    def lay_out(self) -> None:
        """The peer's extension ids have changed."""
        self._extensions = ExtensionWriter(self.peer.ids, self.plan.mid)

    def aim(self, stream: Stream | None, spatial: int, temporal: int, cut: bool) -> None:
        self._layers.aim(spatial, temporal)
        before = (self.current, self.wanted)
        self.wanted = stream
        if cut or stream is None:
            self.current = None
        for old in before:
            if old is not None and old is not stream and old is not self.current:
                old.destinations.pop(self, None)
        if stream is not None:
            stream.destinations[self] = None

    def lose(self, stream: Stream) -> None:
        """The stream is closed."""
        if self.current is stream:
            self.current = None
        if self.wanted is stream:
            self.wanted = None

    def restart(self, stream: Stream) -> None:
        if self.current is stream:
            self._rewriter.switch()

    def forward(self, packet: Packet, stream: Stream, now: int, even: int = 0) -> None:
        """docs/fanout.md, "A packet goes out", for one packet of a stream that is aimed here; `even` bytes of
        payload are the most in what it goes out with."""
        rewriter, flags = self._rewriter, packet.flags
        types, sound = self._types.get(packet.codec), None
        if types is None and packet.codec == _RED:
            types, sound = self._without_redundancy(packet, stream)
        if types is None or flags & _EMPTY:
            if self.current is stream and flags & _UNNUMBERED != _UNNUMBERED:
                rewriter.drop(packet.sequence)
            return
        plan = self.plan
        if self.current is not stream:
            if self.wanted is not stream or (plan.video and not flags & _KEY_START):
                return
            self._go_over(stream)
        marker = 0x80 if flags & _MARKER else 0
        if plan.video:
            if not self._layers.passes(packet):
                picture_id = packet.picture_id if packet.codec == _VP8 else None
                rewriter.drop(packet.sequence, picture_id, packet.picture_bits)
                self._dropped += 1
                return
            if not marker and self._layers.ends_picture(packet):
                marker = 0x80
        descriptor = packet.descriptor
        numbers = rewriter.rewrite(
            packet.sequence,
            packet.timestamp,
            packet.picture_id,
            packet.tl0picidx,
            now,
            None if descriptor is None else descriptor.frame_number,
            packet.picture_bits,
        )
        if numbers is None:
            self._dropped += 1
            return
        self._rtx_type = types[1]
        if plan.video and plan.rtx_ssrc:
            self._remember(Sent(stream.peer, stream.peer.keep(packet), now, marker, numbers))
        payload = self._payload(packet, numbers) if sound is None else sound
        self._send(packet, numbers, types[0] | marker, payload, now, even)

    def _without_redundancy(
        self, packet: Packet, stream: Stream
    ) -> tuple[tuple[int, int] | None, bytes | None]:
        """Types and payload for a receiver that knows Opus, but not RED."""
        if self.plan.video or _OPAQUE not in self._types:
            return None, None
        found = primary(packet.payload)
        if found is None or stream.plan.codecs.get(found[0]) != _OPAQUE:
            return None, None
        return self._types[_OPAQUE], found[1]

    def _send(
        self, packet: Packet, numbers: Rewritten, second: int, payload: bytes, now: int, even: int
    ) -> None:
        level = packet.level
        if level == NO_LEVEL:
            level = -1
        elif packet.flags & _VOICE:
            level |= 0x80
        first, body, missing = 0x80, payload, even - len(payload)
        if 0 < missing <= MAX_EVENING and even <= EVEN_BYTES and self.plan.video:
            first, body = 0xA0, payload + bytes(missing - 1) + bytes((missing,))
        outgoing = Outgoing(
            first,
            second,
            numbers.sequence_number,
            numbers.timestamp,
            self.plan.ssrc,
            self._extensions,
            level,
            _descriptor(packet, numbers),
            body,
        )
        send = self._output.paced if self.plan.video else self._output.send
        if send(self.peer, outgoing, now):
            self._packets += 1
            self._octets += len(payload)
            self._output.counters["forwarded"] += 1

    def _payload(self, packet: Packet, numbers: Rewritten) -> bytes:
        """The payload with this receiver's numbers in it."""
        payload = packet.payload
        if packet.codec == _RED:
            opaque = self._types.get(Codec.OPAQUE)
            return payload if opaque is None else red_with_type(payload, opaque[0])
        picture, tl0 = numbers.picture_id, numbers.tl0picidx
        same_picture = picture is None or picture == packet.picture_id
        if same_picture and tl0 == packet.tl0picidx:
            return payload
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

    def _go_over(self, stream: Stream) -> None:
        old = self.current
        offset: int | None = None
        if old is not None:
            group = stream.plan.group
            if group and group == old.plan.group and old.clock is not None and stream.clock is not None:
                passed = (stream.clock[0] - old.clock[0]) * self.plan.clock_rate // 1_000_000
                offset = self._rewriter.timestamp_offset + old.clock[1] + passed - stream.clock[1]
            old.destinations.pop(self, None)
        self._rewriter.switch(offset)
        self._layers.begin()
        self.current = stream

    # Repair.

    def _remember(self, sent: Sent) -> None:
        if not self._history:
            self._history = [None] * HISTORY_PACKETS
        self._history[sent.numbers.sequence_number % HISTORY_PACKETS] = sent

    def _find(self, sequence: int, now: int) -> tuple[Sent, Packet] | None:
        sent = self._history[sequence % HISTORY_PACKETS] if self._history else None
        if sent is None or sent.numbers.sequence_number != sequence or now - sent.time > CACHE_AGE:
            return None
        packet = sent.sender.kept(sent.place)
        return None if packet is None else (sent, packet)

    def repair(self, sequence: int, now: int) -> bool:
        """Sends the packet again that had that sequence number; whether it did."""
        found = self._find(sequence, now)
        if found is None or not self._types[found[1].codec][1] or not self._bucket.take(now):
            return False
        if not self._again(*found, now, 0):
            return False
        self._repairs += 1
        self._output.counters["repairs"] += 1
        return True

    @property
    def flows(self) -> bool:
        """Whether it can carry a probe."""
        return bool(self.plan.video and self.plan.rtx_ssrc and self._rtx_type)

    def probe_latest(self, cluster: int, now: int) -> Iterator[int]:
        """Sends the latest packets again, newest first; bytes of each, 0 when one could not be sent. What
        waits itself is not repeated: it would come before what it repeats, as if that had been lost."""
        newest, oldest = self._rewriter.last_sequence_number, self.peer.pacer.oldest
        for back in range(HISTORY_PACKETS if self._history else 0):
            found = self._find((newest - back) & 0xFFFF, now)
            if found is None or not self._types[found[1].codec][1]:
                continue
            if oldest is None or found[0].time < oldest:
                yield self._again(*found, now, cluster)

    def probe_padding(self, cluster: int, now: int) -> int:
        """Sends 255 bytes of padding; bytes of the datagram, 0 when it could not be sent."""
        return self._repair_packet(
            0xA0, self._rtx_type, self._rewriter.last_timestamp, _PADDING, now, cluster
        )

    def _again(self, sent: Sent, packet: Packet, now: int, cluster: int) -> int:
        numbers = sent.numbers
        payload = numbers.sequence_number.to_bytes(2, "big") + self._payload(packet, numbers)
        second = self._types[packet.codec][1] | sent.marker
        # Without it a receiver could not tell what the repaired frame refers to.
        descriptor = _descriptor(packet, numbers)
        return self._repair_packet(0x80, second, numbers.timestamp, payload, now, cluster, descriptor)

    def _repair_packet(
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
            self._rtx_sequence,
            timestamp,
            self.plan.rtx_ssrc,
            self._extensions,
            -1,
            descriptor,
            payload,
            cluster,
        )
        size = self._output.paced(self.peer, outgoing, now, first=True)
        if size:
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        return size

    def state(self) -> DestinationState:
        flowing = self.current is not None and not self._rewriter.switching
        return DestinationState(
            self.current.handle if flowing and self.current is not None else -1,
            self._packets,
            self._octets,
            self._rewriter.timestamp_offset,
            self._rewriter.last_timestamp,
            self._repairs,
            self._dropped,
            self._rewriter.last_sequence_number,
        )


def _descriptor(packet: Packet, numbers: Rewritten) -> bytes:
    """The dependency descriptor with this receiver's frame number; empty where there is none."""
    if packet.descriptor is None or numbers.frame_number is None:
        return b""
    was = packet.descriptor_value
    return was[:1] + numbers.frame_number.to_bytes(2, "big") + was[3:]
