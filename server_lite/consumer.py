"""One source that goes out to one member: rewritten so that a switch of source is not seen. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rtc import rtx, vp8
from rtc.packet_cache import PacketCache
from rtc.reports import SendStatistics
from rtc.rewrite import Rewritten, StreamRewriter
from rtc.rtcp import SenderReport
from rtc.rtp import HEADER, RtpPacket, serialize_extensions
from server_lite.negotiation import ConsumerPlan

#: Packets kept for repair and for how long, in seconds: 600 is 1.5 s of 4 Mbit/s.
_CACHE_PACKETS, _CACHE_AGE_S = 600, 1.5
#: Repairs per second to one receiver. A peer that asks for everything again costs no more than this.
_MAX_REPAIRS_PER_S = 400.0


@dataclass(slots=True)
class MediaInfo:
    """What the producer found out about a packet, once for all receivers."""

    codec: str
    picture_id: int | None = None
    tl0picidx: int | None = None
    starts_key_frame: bool = False


class Consumer:
    """Sends one producer's packets to `member` in the section `plan.mid`."""

    def __init__(self, member: str, plan: ConsumerPlan) -> None:
        self.member, self.plan = member, plan
        self.source: str | None = None  # id of the producer
        self.waits_for_key_frame = plan.kind == "video"
        self.statistics = SendStatistics(plan.clock_rate)
        self._rewriter = StreamRewriter(plan.clock_rate)
        # Packets as they came in, which all receivers share, and this one's numbers for them: a copy of the
        # payload for each receiver would be a gigabyte in a large room.
        self._cache: PacketCache[tuple[RtpPacket, Rewritten, int]] | None = (
            PacketCache(_CACHE_PACKETS, _CACHE_AGE_S) if plan.rtx_ssrc is not None else None
        )
        self._extensions = {plan.mid_extension: plan.mid.encode()} if plan.mid_extension else {}
        self._no_level = serialize_extensions(self._extensions) if self._extensions else b""
        self._blocks: dict[bytes, bytes] = {}  # by audio level
        self._repair_sequence = 0
        self._repairs, self._repairs_at = _MAX_REPAIRS_PER_S, 0.0
        self.packets = 0

    def show(self, producer: str | None) -> None:
        """From the next packet on, `producer`; video starts at its next key frame."""
        self.source = producer
        self.waits_for_key_frame = self.plan.kind == "video"
        self._rewriter.switch()

    def takes(self, codec: str) -> bool:
        """Whether the receiver can read packets of `codec` (upper case)."""
        return codec in self.plan.codecs

    def skip(self, packet: RtpPacket) -> None:
        """A packet without content is not forwarded and leaves no gap."""
        if not self.waits_for_key_frame:
            self._rewriter.drop(packet.sequence_number)

    def forward(self, packet: RtpPacket, info: MediaInfo, level: bytes | None, now: float) -> bytes | None:
        """The packet as this receiver gets it; None if it gets none."""
        payload_type = self.plan.codecs.get(info.codec)
        if payload_type is None:
            return None
        if self.waits_for_key_frame:
            if not info.starts_key_frame:
                return None
            self.waits_for_key_frame = False
        rewritten = self._rewriter.rewrite(
            packet.sequence_number, packet.timestamp, info.picture_id, info.tl0picidx, now
        )
        if rewritten is None:
            return None
        if self._cache is not None:
            self._cache.put(rewritten.sequence_number, (packet, rewritten, payload_type), now)
        self.packets += 1
        payload = _renumbered(packet.payload, info.picture_id, info.tl0picidx, rewritten)
        self.statistics.sent(len(payload), rewritten.timestamp, now)
        # Put together by hand: this runs once for each packet and receiver.
        block = self._no_level if level is None else self._with_level(level)
        return (
            HEADER.pack(
                0x90 if block else 0x80,
                payload_type | 0x80 if packet.marker else payload_type,
                rewritten.sequence_number,
                rewritten.timestamp,
                self.plan.ssrc,
            )
            + block
            + payload
        )

    def _with_level(self, level: bytes) -> bytes:
        """The block of header extensions for a packet of sound as loud as `level` says (256 ways at most)."""
        value = level[:1]  # the two-byte form may carry padding
        block = self._blocks.get(value)
        if block is None:
            extensions = dict(self._extensions)
            if self.plan.level_extension:
                extensions[self.plan.level_extension] = value
            block = serialize_extensions(extensions) if extensions else b""
            self._blocks[value] = block
        return block

    def repair(self, lost: tuple[int, ...], now: float) -> list[bytes]:
        """Repair packets (RFC 4588) for sequence numbers this receiver misses."""
        if self.plan.rtx_ssrc is None or self._cache is None:
            return []
        self._repairs = min(_MAX_REPAIRS_PER_S, self._repairs + (now - self._repairs_at) * _MAX_REPAIRS_PER_S)
        self._repairs_at = now
        found: list[bytes] = []
        for sequence_number in lost:
            forwarded = self._cache.get(sequence_number, now)
            if forwarded is None or self._repairs < 1:
                continue
            rtx_type = self.plan.rtx_types.get(forwarded[2])
            if rtx_type is None:
                continue
            self._repairs -= 1
            packet, numbers, payload_type = forwarded
            again = RtpPacket(
                payload_type=payload_type,
                sequence_number=numbers.sequence_number,
                timestamp=numbers.timestamp,
                ssrc=self.plan.ssrc,
                marker=packet.marker,
                payload=_renumbered(packet.payload, None, None, numbers),
                extensions=self._extensions,
            )
            self._repair_sequence = (self._repair_sequence + 1) & 0xFFFF
            found.append(
                rtx.encapsulate(again, rtx_type, self.plan.rtx_ssrc, self._repair_sequence).serialize()
            )
        return found

    def sender_report(self, report: SenderReport, now: float) -> SenderReport | None:
        """The producer's report in this stream's numbers, so that lip sync survives."""
        timestamp = self._rewriter.map_timestamp(report.rtp_timestamp)
        if timestamp is None or not self.packets:
            return None
        return SenderReport(
            ssrc=self.plan.ssrc,
            ntp_time=report.ntp_time,
            rtp_timestamp=timestamp,
            packet_count=self.statistics.packets & 0xFFFFFFFF,
            octet_count=self.statistics.octets & 0xFFFFFFFF,
        )

    def dump(self) -> dict[str, object]:
        return {
            "member": self.member,
            "mid": self.plan.mid,
            "source": self.source,
            "packets": self.packets,
            "waits_for_key_frame": self.waits_for_key_frame,
        }


def _renumbered(payload: bytes, picture_id: int | None, tl0picidx: int | None, numbers: Rewritten) -> bytes:
    """The VP8 payload with the receiver's numbers; as it is where they are the same or there are none."""
    if numbers.picture_id == picture_id and numbers.tl0picidx == tl0picidx:
        return payload
    return vp8.rewrite_vp8(payload, numbers.picture_id, numbers.tl0picidx)
