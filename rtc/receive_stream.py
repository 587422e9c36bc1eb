"""The receiving end of one stream: packets in, frames out, and what the sender must be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from rtc.audio_jitter_buffer import AudioJitterBuffer
from rtc.errors import PacketError
from rtc.jitter_buffer import EncodedFrame, VideoCodec, VideoJitterBuffer
from rtc.keyframes import KeyframeThrottle
from rtc.nack import NackTracker
from rtc.reports import ReceptionStatistics
from rtc.rtcp import (
    GenericNack,
    Goodbye,
    PictureLossIndication,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
)
from rtc.rtp import RtpPacket
from rtc.rtx import decapsulate
from rtc.sequence import is_newer

#: Seconds between receiver reports. Lower tells the sender sooner of losses and costs 32 bytes each.
REPORT_INTERVAL: Final = 1.0

#: Seconds after which a PLI that no key frame answered is repeated. Less than a round trip would ask twice.
PLI_REPEAT: Final = 0.5

#: Seconds that a key frame must be wanting before it is asked for: its first packet may only have been
#: overtaken. Higher asks less often in vain, lower shows the first picture of a stream sooner.
KEY_FRAME_GRACE: Final = 0.02

Codec = Literal["VP8", "H264", "opus"]


@dataclass(slots=True)
class ReceiveCounters:
    """What a stream has received. Packets and frames are counts, jitter is in seconds."""

    packets: int = 0  # of the stream itself, retransmissions not counted
    bytes: int = 0  # of payload, retransmissions included
    lost: int = 0  # on the path, before repair
    recovered: int = 0  # asked for, then received
    retransmissions: int = 0
    duplicates: int = 0
    late: int = 0
    malformed: int = 0
    unknown: int = 0  # a payload type or source that does not belong here
    frames: int = 0
    dropped_frames: int = 0
    nacks_sent: int = 0
    packets_requested: int = 0
    plis_sent: int = 0
    jitter: float = 0.0


class ReceiveStream:
    """One RTP stream of pictures or sound, with its RTX stream (rtx_ssrc, rtx payload type).

    `codecs` says what each payload type is. `rtcp_ssrc` is who we are in what we send. Sound goes into
    `audio`, to be popped there; pictures come out of `handle_rtp`.
    """

    def __init__(
        self,
        kind: Literal["audio", "video"],
        codecs: Mapping[int, Codec],
        ssrc: int,
        clock_rate: int,
        *,
        rtcp_ssrc: int,
        rtx: tuple[int, int] | None = None,
    ) -> None:
        self.kind: Final = kind
        self.ssrc: Final = ssrc
        self.audio: Final = AudioJitterBuffer(clock_rate) if kind == "audio" else None
        self.ended = False  # the sender said goodbye
        #: The sender's (NTP time, RTP timestamp) as last reported: aligns streams of one sender.
        self.clock: tuple[int, int] | None = None
        self._codecs: Final = dict(codecs)
        self._rtcp_ssrc: Final = rtcp_ssrc
        self._rtx: Final = rtx
        self._counters = ReceiveCounters()
        self._reception = ReceptionStatistics(clock_rate)
        self._nack: Final = NackTracker() if kind == "video" else None
        self._throttle: Final = KeyframeThrottle(repeat_after=PLI_REPEAT)
        self._video: VideoJitterBuffer | None = None
        self._payload_type: int | None = None
        self._newest = 0  # sequence number
        self._given_up = 0
        self._finished = ReceiveCounters()  # of video buffers that a change of codec has replaced
        self._report_due = 0.0
        self._wanting_since: float | None = None

    @property
    def needs_key_frame(self) -> bool:
        """True when pictures arrive and none can be shown until a key frame comes."""
        return self._video is not None and self._video.needs_key_frame

    @property
    def round_trip_time(self) -> float:
        """Seconds; what repeats of requests wait for. Set it when it is measured."""
        return self._nack.rtt if self._nack is not None else 0.0

    @round_trip_time.setter
    def round_trip_time(self, seconds: float) -> None:
        if self._nack is not None:
            self._nack.rtt = seconds

    @property
    def statistics(self) -> ReceiveCounters:
        """The counters at this moment; the object is updated by the next call."""
        counters = self._counters
        counters.lost = max(0, self._reception.lost_packets)
        counters.jitter = self._reception.jitter_seconds
        if self._nack is not None:
            counters.recovered = self._nack.recovered
            counters.packets_requested = self._nack.requested
        if self.audio is not None:
            counters.late, counters.duplicates = self.audio.late, self.audio.duplicates
        if self._video is not None:
            video, before = self._video, self._finished
            counters.frames = before.frames + video.frames
            counters.dropped_frames = before.dropped_frames + video.dropped_frames
            counters.late = before.late + video.late_packets
            counters.duplicates = before.duplicates + video.duplicate_packets
        return counters

    def handle_rtp(self, packet: RtpPacket, now: float) -> list[EncodedFrame]:
        """Takes a packet of this stream or of its RTX stream; gives the pictures that it completes."""
        if packet.ssrc != self.ssrc:
            return self._handle_retransmission(packet, now)
        if packet.payload_type not in self._codecs:
            self._counters.unknown += 1
            return []
        self._counters.packets += 1
        self._counters.bytes += len(packet.payload)
        self._reception.received(packet.sequence_number, packet.timestamp, now)
        return self._accept(packet, now)

    def handle_rtcp(self, packet: RtcpPacket, now: float) -> None:
        """Takes a packet of RTCP from the sender; what is about other streams is ignored."""
        if isinstance(packet, SenderReport) and packet.ssrc == self.ssrc:
            self._reception.sender_report(packet, now)
            self.clock = (packet.ntp_time, packet.rtp_timestamp)
        elif isinstance(packet, Goodbye) and self.ssrc in packet.sources:
            self.ended = True

    def request_key_frame(self, now: float) -> list[bytes]:
        """The decoder cannot go on: the PLI to send, or nothing when one went out a moment ago.

        `tick` repeats it until a key frame comes.
        """
        return [self._pli()] if self._throttle.request(now) else []

    def tick(self, now: float) -> list[bytes]:
        """What is due: requests for lost packets, for a key frame, and each second a report. Call it every 10
        to 20 ms.
        """
        datagrams: list[bytes] = []
        if self._video is not None and self._nack is not None:
            lost = self._nack.due(now)
            if lost:
                self._counters.nacks_sent += 1
                datagrams.append(GenericNack(self._rtcp_ssrc, self.ssrc, lost).serialize())
            self._give_up(self._video, self._nack, now)
            if self._throttle.due(now) or self._wants_key_frame(self._video, now):
                datagrams.append(self._pli())
        if now >= self._report_due:
            block = self._reception.report_block(self.ssrc, now)
            if block is not None:
                self._report_due = now + REPORT_INTERVAL
                datagrams.append(ReceiverReport(self._rtcp_ssrc, (block,)).serialize())
        return datagrams

    def _give_up(self, video: VideoJitterBuffer, nack: NackTracker, now: float) -> None:
        """Goes on at a key frame when a hole will not be filled: it was asked for too often, or nobody waits
        for it any more.
        """
        if nack.lost_for_good == self._given_up and not (video.blocked and not nack.missing):
            return
        self._given_up = nack.lost_for_good
        video.give_up(now)
        self._forget_what_is_shown(video, nack)

    def _wants_key_frame(self, video: VideoJitterBuffer, now: float) -> bool:
        """True when the sender is to be asked for a key frame, for the first time."""
        if not video.needs_key_frame:
            self._wanting_since = None
            return False
        if self._wanting_since is None:
            self._wanting_since = now
        if self._throttle.waiting or now - self._wanting_since < KEY_FRAME_GRACE:
            return False
        return self._throttle.request(now)

    def _pli(self) -> bytes:
        self._counters.plis_sent += 1
        return PictureLossIndication(self._rtcp_ssrc, self.ssrc).serialize()

    def _handle_retransmission(self, packet: RtpPacket, now: float) -> list[EncodedFrame]:
        payload_type = self._payload_type
        if payload_type is None and len(self._codecs) == 1:
            payload_type = next(iter(self._codecs))
        if (packet.ssrc, packet.payload_type) != self._rtx or payload_type is None:
            self._counters.unknown += 1
            return []
        if not packet.payload:  # a probe of the path's width
            return []
        try:
            original = decapsulate(packet, payload_type, self.ssrc)
        except PacketError:
            self._counters.malformed += 1
            return []
        self._counters.retransmissions += 1
        self._counters.bytes += len(original.payload)
        return self._accept(original, now)

    def _accept(self, packet: RtpPacket, now: float) -> list[EncodedFrame]:
        if self.audio is not None:
            self.audio.add(packet, now)
            return []
        video = self._video_buffer(packet)
        assert self._nack is not None
        self._nack.received(packet.sequence_number, now)
        malformed = video.malformed_packets
        frames = video.add(packet, now)
        self._counters.malformed += video.malformed_packets - malformed
        if frames:
            if any(frame.key_frame for frame in frames):
                self._throttle.key_frame_seen(now)
            self._forget_what_is_shown(video, self._nack)
        return frames

    def _forget_what_is_shown(self, video: VideoJitterBuffer, nack: NackTracker) -> None:
        wanted = video.next_sequence_number
        if wanted is not None:
            nack.forget_before(wanted)

    def _video_buffer(self, packet: RtpPacket) -> VideoJitterBuffer:
        """The buffer for the packet's codec: another one when the sender has changed its codec."""
        newer = self._payload_type is None or is_newer(packet.sequence_number, self._newest)
        if newer:
            self._newest = packet.sequence_number
        if self._video is not None and (packet.payload_type == self._payload_type or not newer):
            return self._video
        self._payload_type = packet.payload_type
        codec = cast(VideoCodec, self._codecs[packet.payload_type])
        if self._video is not None and self._video.codec == codec:
            return self._video
        if self._video is not None:
            counters = self.statistics
            self._finished = ReceiveCounters(
                frames=counters.frames,
                dropped_frames=counters.dropped_frames,
                late=counters.late,
                duplicates=counters.duplicates,
            )
        self._video = VideoJitterBuffer(codec)
        return self._video
