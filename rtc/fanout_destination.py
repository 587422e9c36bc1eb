"""One destination of the Python twin: which packets it gets, their numbers, and their repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rtc.fanout import HISTORY_PACKETS, Codec, DestinationPlan, DestinationState, Flag
from rtc.fanout_extensions import ExtensionWriter
from rtc.fanout_layers import LayerFilter
from rtc.fanout_outgoing import Outgoing
from rtc.fanout_output import Output
from rtc.fanout_peer import Peer, Stream
from rtc.fanout_red import primary
from rtc.fanout_repair import Repairs, descriptor_with, payload_with, with_numbers
from rtc.fanout_run import Run, evened, level_byte
from rtc.pacer import NEVER
from rtc.packet_reader import Packet
from rtc.rewrite import Following, Rewritten, StreamRewriter
from rtc.srtp_session import Session

_EMPTY: Final = int(Flag.EMPTY)
_UNNUMBERED: Final = int(Flag.EMPTY | Flag.REPAIRED)
_KEY_START: Final = int(Flag.KEY_START)
_MARKER: Final = int(Flag.MARKER)
_VP8: Final = int(Codec.VP8)
_RED: Final = int(Codec.RED)
_OPAQUE: Final = int(Codec.OPAQUE)


class Destination:
    """What leaves under one SSRC: `current` flows, `wanted` is to flow."""

    __slots__ = (
        "_dropped",
        "_extensions",
        "_layers",
        "_line",
        "_octets",
        "_output",
        "_packets",
        "_rewriter",
        "_types",
        "current",
        "handle",
        "peer",
        "plan",
        "repairs",
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
        self._packets = self._octets = self._dropped = 0
        # What stays as it is, for one load instead of many.
        self._line: Final = peer, peer.pacer, output, output.outbox, plan.ssrc, plan.video
        self._extensions = ExtensionWriter(peer.ids, plan.mid)
        self.repairs: Final = Repairs(peer, plan, self._types, self._extensions, output)

    def lay_out(self) -> None:
        """The peer's extension ids have changed."""
        self._extensions = self.repairs.extensions = ExtensionWriter(self.peer.ids, self.plan.mid)

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

    def forward_run(self, run: Run, stream: Stream, now: int) -> None:
        """docs/fanout.md, "A packet goes out", for a run of a stream that is aimed here."""
        if run.straight and self.current is stream and self._forward_straight(run, stream.peer, now):
            return
        *others, last = run.packets
        for packet in others:
            self.forward(packet, stream, now, run.even)
        self.forward(last, stream, now)

    def _forward_straight(self, run: Run, sender: Peer, now: int) -> bool:
        """Does for a run what `forward` does for a packet, where no decision is left but which have to wait.
        False when there is another one, and then nothing was done."""
        first, peer = run.packets[0], self.peer
        types = self._types.get(first.codec)
        if types is None or not (peer.address and self._extensions.numbered):
            return False
        video = self.plan.video
        if video and not self._layers.passes_all(run.temporal, run.spatial):
            return False
        following = self._rewriter.follow(first.sequence, first.picture_id, first.picture_bits)
        if following is None or peer.sending is None:
            return False
        if video:
            self.repairs.rtx_type = types[1]
        self._send_straight(run, following, types[0], peer.sending, sender, now)
        self._rewriter.go_on(following, run.steps, run.times, run.pictures, run.tl0picidx, now)
        return True

    def _send_straight(
        self, run: Run, following: Following, payload_type: int, session: Session, sender: Peer, now: int
    ) -> None:
        """Puts the packets together where they are sealed and sent from; those that have to wait wait."""
        peer, pacer, output, outbox, ssrc, video = self._line
        extensions, number, level = self._extensions, peer.next_number, NEVER
        parts, bound, history = run.sound, NEVER, None
        if video:
            parts, bound, history = run.video, pacer.bound(now), self.repairs.remember()
        place, offset, first_picture, tl0_offset, changed = following
        if outbox.used + run.room > outbox.end:
            outbox.make_room(run.room)
        memory, at = outbox.memory, outbox.used
        data, view, seal, rate, until = memory.data, memory.view, session.seal_at, pacer.rate, pacer.until
        sizes: list[int] = []
        octets = waiting = 0
        picture = tl0 = None
        for packet, steps, pictures, came, marker, loud, first, body, count in parts:
            sequence, timestamp = (place + steps) & 0xFFFF, (came + offset) & 0xFFFFFFFF
            second = marker | payload_type
            if loud != level:
                level = loud
                pack, before, after, size = extensions.prefixes.get(level) or extensions.prefix(level, now)
            if changed:
                picture = None if first_picture is None else (first_picture + pictures) & 0x7FFF
                tl0 = None if packet.tl0picidx is None else (packet.tl0picidx + tl0_offset) & 0xFF
                body = with_numbers(body, packet, picture, tl0)
            if history is not None:
                kept = packet.cached if packet.cached >= 0 else sender.keep(packet)
                sent = sequence, timestamp, sender, kept, now, marker, picture, tl0, None
                history[sequence % HISTORY_PACKETS] = sent
            start = at + size
            end = start + len(body)
            if until > bound:
                one = Outgoing(first, second, sequence, timestamp, ssrc, extensions, level, b"", body)
                if output.wait(peer, one, end - at, now):
                    waiting += 1
                    octets += count
                continue
            pack(data, at, first | 0x10, second, sequence, timestamp, ssrc, before, number, after)
            view[start:end] = body
            sealed = seal(memory, at, end - at)
            if sealed:
                at += sealed
                sizes.append(sealed)
                octets += count
                number = (number + 1) & 0xFFFF
                if rate:
                    until = (until if until > now else now) + sealed * 1_000_000 // rate
            else:
                output.counters["unsendable"] += 1
        pacer.until = until
        if sizes:
            peer.note_sent(now, sizes)
            outbox.add(peer.address, sizes)
        self._packets += len(sizes) + waiting
        self._octets += octets
        output.counters["forwarded"] += len(sizes) + waiting

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
        picture, tl0, frame_number = numbers.picture_id, numbers.tl0picidx, numbers.frame_number
        repairs = self.repairs
        repairs.rtx_type = types[1]
        history = repairs.remember()
        if history is not None:
            sequence, sender = numbers.sequence_number, stream.peer
            history[sequence % HISTORY_PACKETS] = (
                sequence,
                numbers.timestamp,
                sender,
                sender.keep(packet),
                now,
                marker,
                picture,
                tl0,
                frame_number,
            )
        payload = payload_with(packet, self._types, picture, tl0) if sound is None else sound
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
        first, body = 0x80, evened(payload, even) if self.plan.video else None
        if body is None:
            body = payload
        else:
            first = 0xA0
        outgoing = Outgoing(
            first,
            second,
            numbers.sequence_number,
            numbers.timestamp,
            self.plan.ssrc,
            self._extensions,
            level_byte(packet),
            descriptor_with(packet, numbers.frame_number),
            body,
        )
        send = self._output.paced if self.plan.video else self._output.send
        if send(self.peer, outgoing, now):
            self._packets += 1
            self._octets += len(payload)
            self._output.counters["forwarded"] += 1

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

    def repair(self, sequence: int, now: int) -> bool:
        """Sends the packet again that had that sequence number; whether it did."""
        return self.repairs.repair(sequence, now)

    @property
    def flows(self) -> bool:
        """Whether it can carry a probe."""
        return self.repairs.flows

    def probe_latest(self, cluster: int, now: int) -> Iterator[int]:
        """Sends the latest packets again, newest first; bytes of each, 0 when one could not be sent."""
        return self.repairs.probe_latest(self._rewriter.last_sequence_number, cluster, now)

    def probe_padding(self, cluster: int, now: int) -> int:
        """Sends 255 bytes of padding; bytes of the datagram, 0 when it could not be sent."""
        return self.repairs.probe_padding(self._rewriter.last_timestamp, cluster, now)

    def state(self) -> DestinationState:
        flowing = self.current is not None and not self._rewriter.switching
        return DestinationState(
            self.current.handle if flowing and self.current is not None else -1,
            self._packets,
            self._octets,
            self._rewriter.timestamp_offset,
            self._rewriter.last_timestamp,
            self.repairs.count,
            self._dropped,
            self._rewriter.last_sequence_number,
        )
