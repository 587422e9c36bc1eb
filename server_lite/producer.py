"""One source that comes in: what the router knows of it. Pure."""

from __future__ import annotations

from rtc import vp8
from rtc.errors import PacketError
from rtc.h264 import starts_key_frame as h264_starts_key_frame
from rtc.header_extensions import decode_audio_level
from rtc.keyframes import KeyframeThrottle
from rtc.nack import NackTracker
from rtc.reports import ReceptionStatistics
from rtc.rtp import RtpPacket
from server_lite.consumer import Consumer, MediaInfo
from server_lite.negotiation import ProducerPlan

#: SSRCs that one section may use without naming them in its offer. More is no real sender.
_MAX_SSRCS = 4


class Producer:
    """A stream of one member. `plan` says how its packets look."""

    def __init__(self, producer_id: str, member: str, plan: ProducerPlan) -> None:
        self.id, self.member, self.plan = producer_id, member, plan
        self.paused = False
        self.held_back = False  # others are louder: nothing of it is forwarded just now
        self.consumers: list[Consumer] = []
        self.ssrc: int | None = plan.ssrcs[0] if plan.ssrcs else None
        self.statistics = ReceptionStatistics(plan.clock_rate)
        self.key_frames = KeyframeThrottle()
        self.packets = 0
        self._nacks: NackTracker | None = NackTracker() if plan.kind == "video" else None
        self._ssrcs: set[int] = {*plan.ssrcs, *plan.rtx_ssrcs}

    @property
    def kind(self) -> str:
        return self.plan.kind

    @property
    def ssrcs(self) -> frozenset[int]:
        return frozenset(self._ssrcs)

    def adopt(self, ssrc: int, payload_type: int) -> bool:
        """Takes an SSRC that the offer did not name; False where that cannot be."""
        known = payload_type in self.plan.codecs or payload_type in self.plan.rtx_types
        if not known or len(self._ssrcs) >= _MAX_SSRCS:
            return False
        if payload_type in self.plan.codecs:
            if self.ssrc is not None and self.ssrc != ssrc:
                return False
            self.ssrc = ssrc
        self._ssrcs.add(ssrc)
        return True

    def is_repair(self, packet: RtpPacket) -> bool:
        return packet.payload_type in self.plan.rtx_types

    def received(self, packet: RtpPacket, now: float, *, repaired: bool = False) -> MediaInfo | None:
        """Counts a media packet; None if it is not one of this stream."""
        codec = self.plan.codecs.get(packet.payload_type)
        if codec is None:
            return None
        self.packets += 1
        if not repaired:
            self.statistics.received(packet.sequence_number, packet.timestamp, now)
        if self._nacks is not None:
            self._nacks.received(packet.sequence_number, now)
        info = MediaInfo(codec)
        if not packet.payload:
            return info
        if codec == "VP8":
            descriptor, size = vp8.Vp8Descriptor.parse(packet.payload)
            info.picture_id, info.tl0picidx = descriptor.picture_id, descriptor.tl0picidx
            info.starts_key_frame = descriptor.starts_frame and vp8.is_key_frame(
                packet.payload[size : size + 10]
            )
        elif codec == "H264":
            info.starts_key_frame = h264_starts_key_frame(packet.payload)
        if info.starts_key_frame:
            self.key_frames.key_frame_seen(now)
        return info

    def audio_level(self, packet: RtpPacket) -> int | None:
        """-dBov of a packet of sound, if its sender says so."""
        value = packet.extensions.get(self.plan.level_extension or 0)
        if value is None:
            return None
        try:
            return decode_audio_level(value).level
        except PacketError:
            return None

    def missing(self, now: float) -> tuple[int, ...]:
        """Sequence numbers to ask for again."""
        return self._nacks.due(now) if self._nacks is not None else ()

    def dump(self) -> dict[str, object]:
        return {
            "id": self.id,
            "member": self.member,
            "kind": self.kind,
            "paused": self.paused,
            "packets": self.packets,
            "consumers": len(self.consumers),
        }
