"""The media of one room. Pure: packets come in with their time, and what is to be sent comes back.

`handle_packet(member, packet, now)` and `tick(now)` return (member, packet) pairs; packets are decrypted RTP
or RTCP. Media is forwarded and never decoded. Time is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rtc import rtcp, rtx
from rtc.errors import PacketError
from rtc.rtp import RtpPacket, is_rtcp
from server_lite.consumer import Consumer, MediaInfo
from server_lite.loudest import LoudestVoices
from server_lite.negotiation import ConsumerPlan, ProducerPlan
from server_lite.observers import ActiveSpeaker, Counters
from server_lite.producer import Producer

#: Seconds between reception reports; also how soon a sender learns of loss (RFC 3550 section 6.2 allows
#: less for large sessions; a path carries few streams here).
_REPORT_S = 1.0
#: The SSRC the server uses in its own RTCP; any value that no stream uses.
_OWN_SSRC = 1
_CNAME = "hearth"


class Send(NamedTuple):
    member: str
    packet: bytes


class Router:
    """Streams of one room: who sends what, and who gets it."""

    def __init__(self, video_bitrate_cap: int = 2_500_000) -> None:
        self._bitrate_cap = video_bitrate_cap
        self._producers: dict[str, Producer] = {}
        self._consumers: dict[str, dict[str, Consumer]] = {}  # member -> mid -> consumer
        self._by_ssrc: dict[str, dict[int, Producer]] = {}  # member -> SSRC -> producer
        self._outgoing: dict[str, dict[int, Consumer]] = {}  # member -> SSRC of ours -> consumer
        self._reports_at = 0.0
        self.speaker = ActiveSpeaker()
        self.loudest = LoudestVoices()
        self._microphones = 0  # sources of sound, muted or not
        self.counters = Counters()

    # What exists.

    def add_producer(
        self, producer_id: str, member: str, plan: ProducerPlan, *, restarted: bool = False
    ) -> None:
        """A source that `member` sends from now on. The same id again with another plan, or `restarted` on a
        new path, is the same source whose numbers begin anew: its receivers stay."""
        old = self._producers.get(producer_id)
        if old is not None and old.plan == plan and not restarted:
            return
        producer = Producer(producer_id, member, plan)
        table = self._by_ssrc.setdefault(member, {})
        if old is not None:
            producer.consumers, producer.paused = old.consumers, old.paused
            self._forget_streams(old)
            for consumer in producer.consumers:
                consumer.show(producer_id)
        elif producer.kind == "audio":
            self._microphones += 1
        self._producers[producer_id] = producer
        for ssrc in producer.ssrcs:
            table[ssrc] = producer

    def remove_producer(self, producer_id: str) -> None:
        """The source ends; its receivers keep their sections, empty."""
        producer = self._producers.pop(producer_id, None)
        if producer is None:
            return
        self._forget_streams(producer)
        for consumer in producer.consumers:
            consumer.show(None)
        if producer.kind == "audio":
            self._microphones -= 1
            self._forget_voice(producer.member)

    def pause(self, producer_id: str, paused: bool, now: float) -> list[Send]:
        """While paused, packets of the source are counted and dropped."""
        producer = self._producers.get(producer_id)
        if producer is None or producer.paused == paused:
            return []
        producer.paused = paused
        if paused:
            if producer.kind == "audio":
                self._forget_voice(producer.member)
            return []
        for consumer in producer.consumers:
            consumer.show(producer_id)
        return self._counted(self._ask_key_frame(producer, now) if producer.consumers else [])

    def set_consumers(self, member: str, plans: Iterable[ConsumerPlan]) -> None:
        """The sections in which `member` can receive; those not named any more end."""
        wanted = {plan.mid: plan for plan in plans}
        table = self._consumers.setdefault(member, {})
        for mid in [m for m, c in table.items() if wanted.get(m) != c.plan]:
            self._detach(table.pop(mid))
        for mid, plan in wanted.items():
            if mid not in table:
                table[mid] = Consumer(member, plan)
        self._outgoing[member] = {c.plan.ssrc: c for c in table.values()}

    def show(self, member: str, mid: str, producer: str | None, now: float) -> list[Send]:
        """Sends `producer` to `member` in section `mid`; None ends what was sent there.

        An unknown section is ignored. A producer that is gone, or of another kind, shows nothing: what was
        there before would be taken for it.
        """
        consumer = self._consumers.get(member, {}).get(mid)
        if consumer is None:
            return []
        source = self._producers.get(producer) if producer is not None else None
        if source is not None and source.kind != consumer.plan.kind:
            source = None
        if consumer.source == (source.id if source is not None else None):
            return []
        self._detach(consumer)
        consumer.show(source.id if source is not None else None)
        if source is None:
            return []
        source.consumers.append(consumer)
        return self._counted(self._ask_key_frame(source, now))

    def wants(self, member: str) -> dict[str, str]:
        """What is sent to `member`: section -> producer."""
        return {mid: c.source for mid, c in self._consumers.get(member, {}).items() if c.source}

    def remove_member(self, member: str) -> None:
        for producer in [p.id for p in self._producers.values() if p.member == member]:
            self.remove_producer(producer)
        for consumer in self._consumers.pop(member, {}).values():
            self._detach(consumer)
        self._outgoing.pop(member, None)
        self._by_ssrc.pop(member, None)
        self._forget_voice(member)

    def _forget_voice(self, member: str) -> None:
        self.speaker.forget(member)
        self.loudest.forget(member)

    def _forget_streams(self, producer: Producer) -> None:
        table = self._by_ssrc.get(producer.member, {})
        for ssrc in producer.ssrcs:
            if table.get(ssrc) is producer:  # a later source may have taken it over
                del table[ssrc]

    def _detach(self, consumer: Consumer) -> None:
        source = self._producers.get(consumer.source or "")
        if source is not None and consumer in source.consumers:
            source.consumers.remove(consumer)

    # What happens.

    def handle_packet(self, member: str, packet: bytes, now: float) -> list[Send]:
        """A decrypted packet from `member`. What cannot be used is counted and dropped."""
        self.counters.packets_in += 1
        self.counters.bytes_in += len(packet)
        try:
            sends = self._rtcp(member, packet, now) if is_rtcp(packet) else self._rtp(member, packet, now)
        except PacketError:
            self.counters.malformed += 1
            return []
        return self._counted(sends)

    def tick(self, now: float) -> list[Send]:
        """Time passed: repairs and key frames that are due, and reports each second."""
        sends: list[Send] = []
        for producer in self._producers.values():
            missing = producer.missing(now) if not producer.paused else ()
            if missing and producer.ssrc is not None:
                self.counters.nacks_sent += len(missing)
                nack = rtcp.GenericNack(_OWN_SSRC, producer.ssrc, missing)
                sends.append(Send(producer.member, nack.serialize()))
            # A muted source has no pictures to give, and without receivers nobody waits for one.
            if producer.consumers and not producer.paused and producer.key_frames.due(now):
                sends += self._key_frame_request(producer)
        if now - self._reports_at >= _REPORT_S:
            self._reports_at = now
            sends += self._reports(now)
        self.speaker.tick(now)
        return self._counted(sends)

    def _counted(self, sends: list[Send]) -> list[Send]:
        self.counters.packets_out += len(sends)
        self.counters.bytes_out += sum(len(s.packet) for s in sends)
        return sends

    def dump(self) -> dict[str, object]:
        return {
            "producers": [p.dump() for p in self._producers.values()],
            "consumers": [c.dump() for t in self._consumers.values() for c in t.values()],
            "speaker": self.speaker.current,
            "voices": sorted(self.loudest.chosen),
        }

    # RTP.

    def _rtp(self, member: str, data: bytes, now: float) -> list[Send]:
        packet = RtpPacket.parse(data)
        producer = self._by_ssrc.get(member, {}).get(packet.ssrc) or self._adopt(member, packet)
        if producer is None:
            self.counters.unknown_stream += 1
            return []
        repaired = producer.is_repair(packet)
        if repaired:
            if len(packet.payload) < 2:  # a probe for bandwidth (RFC 4588 carries a sequence number)
                return []
            packet = rtx.decapsulate(
                packet, producer.plan.rtx_types[packet.payload_type], producer.ssrc or packet.ssrc
            )
        info = producer.received(packet, now, repaired=repaired)
        if info is None:
            self.counters.unknown_stream += 1
            return []
        if producer.paused:
            self.counters.muted += 1
            return []
        if not packet.payload:  # padding: its number must not be missed by anybody
            for consumer in producer.consumers:
                consumer.skip(packet)
            return []
        level: bytes | None = None
        if producer.kind == "audio":
            loudness = producer.audio_level(packet)
            if loudness is not None:  # a sender that does not say how loud it is is always forwarded
                self.speaker.heard(member, loudness, now)
                level = packet.extensions[producer.plan.level_extension or 0]
                if not self.loudest.passes(member, loudness, self._microphones, now):
                    self.counters.not_loudest += 1
                    producer.held_back = True
                    return []
                if producer.held_back:  # as after a mute: once, not for each packet that was left out
                    producer.held_back = False
                    for consumer in producer.consumers:
                        consumer.show(producer.id)
        return self._forward(producer, packet, info, level, now)

    def _forward(
        self, producer: Producer, packet: RtpPacket, info: MediaInfo, level: bytes | None, now: float
    ) -> list[Send]:
        sends: list[Send] = []
        starved = False
        for consumer in producer.consumers:
            out = consumer.forward(packet, info, level, now)
            if out is not None:
                sends.append(Send(consumer.member, out))
            elif consumer.waits_for_key_frame and consumer.takes(info.codec):
                starved = True
        if starved and not producer.key_frames.waiting:
            # Nobody asked yet: the source began anew on another path, or its key frame was lost.
            sends += self._ask_key_frame(producer, now)
        return sends

    def _adopt(self, member: str, packet: RtpPacket) -> Producer | None:
        """Finds the stream of an SSRC nobody named, by the mid in its header extension (RFC 9143)."""
        for producer in self._producers.values():
            mid = packet.extensions.get(producer.plan.mid_extension or 0)
            if producer.member != member or mid != producer.plan.mid.encode():
                continue
            if producer.adopt(packet.ssrc, packet.payload_type):
                self._by_ssrc[member][packet.ssrc] = producer
                return producer
        return None

    # RTCP.

    def _rtcp(self, member: str, data: bytes, now: float) -> list[Send]:
        sends: list[Send] = []
        ours = self._outgoing.get(member, {})
        for packet in rtcp.parse_compound(data):
            match packet:
                case rtcp.SenderReport():
                    sends += self._sender_report(member, packet, now)
                case rtcp.GenericNack() if packet.media_ssrc in ours:
                    repairs = ours[packet.media_ssrc].repair(packet.lost, now)
                    self.counters.nacks_answered += len(repairs)
                    sends += [Send(member, repair) for repair in repairs]
                case rtcp.PictureLossIndication() if packet.media_ssrc in ours:
                    sends += self._key_frame_for(ours[packet.media_ssrc], now)
                case rtcp.FullIntraRequest():
                    for ssrc, _ in packet.requests:
                        if ssrc in ours:
                            sends += self._key_frame_for(ours[ssrc], now)
        return sends

    def _sender_report(self, member: str, report: rtcp.SenderReport, now: float) -> list[Send]:
        producer = self._by_ssrc.get(member, {}).get(report.ssrc)
        if producer is None or producer.ssrc != report.ssrc:
            return []
        producer.statistics.sender_report(report, now)
        sends: list[Send] = []
        for consumer in producer.consumers:
            rewritten = consumer.sender_report(report, now)
            if rewritten is not None:
                description = rtcp.SourceDescription.of(consumer.plan.ssrc, _CNAME)
                sends.append(Send(consumer.member, rewritten.serialize() + description.serialize()))
        return sends

    def _key_frame_for(self, consumer: Consumer, now: float) -> list[Send]:
        source = self._producers.get(consumer.source or "")
        return self._ask_key_frame(source, now) if source is not None else []

    def _ask_key_frame(self, producer: Producer, now: float) -> list[Send]:
        if producer.kind != "video" or producer.paused or not producer.key_frames.request(now):
            return []
        return self._key_frame_request(producer)

    def _key_frame_request(self, producer: Producer) -> list[Send]:
        if producer.ssrc is None:
            return []
        self.counters.key_frames_asked += 1
        request = rtcp.PictureLossIndication(_OWN_SSRC, producer.ssrc)
        return [Send(producer.member, request.serialize())]

    def _reports(self, now: float) -> list[Send]:
        """One compound per sender: how its streams arrive, and how much video it may send."""
        by_member: dict[str, list[Producer]] = {}
        for producer in self._producers.values():
            if producer.packets and producer.ssrc is not None:
                by_member.setdefault(producer.member, []).append(producer)
        sends: list[Send] = []
        for member, producers in by_member.items():
            blocks = (p.statistics.report_block(p.ssrc or 0, now) for p in producers[:31])
            packet = rtcp.ReceiverReport(_OWN_SSRC, tuple(b for b in blocks if b)).serialize()
            packet += rtcp.SourceDescription.of(_OWN_SSRC, _CNAME).serialize()
            video = tuple(p.ssrc for p in producers if p.kind == "video" and p.ssrc is not None)
            if video:
                packet += rtcp.ReceiverEstimate(_OWN_SSRC, self._bitrate_cap, video).serialize()
            sends.append(Send(member, packet))
        return sends
