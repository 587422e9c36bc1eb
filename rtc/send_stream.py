"""The sending end of one stream: frames in, packets out, and answers to what the receiver says."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

from rtc import h264, vp8
from rtc.header_extensions import encode_audio_level, encode_mid
from rtc.packet_cache import PacketCache
from rtc.reports import SendStatistics, round_trip_time
from rtc.rtcp import (
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReceiverEstimate,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    serialize_compound,
)
from rtc.rtp import RtpPacket
from rtc.rtx import encapsulate

#: Seconds between sender reports. Lower lets receivers align sound and picture sooner.
REPORT_INTERVAL: Final = 1.0

#: Retransmissions per second, and how many may leave at once. Higher repairs worse paths; a peer that asks
#: for everything all the time can make us send that much more.
RETRANSMISSION_RATE: Final = 300.0
RETRANSMISSION_BURST: Final = 100.0

#: Seconds in which one packet is not sent again however often it is asked for.
RETRANSMISSION_PAUSE: Final = 0.015

#: Packets kept for retransmission: more than a second of 720p at 2.5 Mbit/s.
CACHE_PACKETS: Final = 512

#: Seconds without a packet after which sound begins anew and bears the marker (RFC 3551 section 4.1).
TALK_SPURT_GAP: Final = 0.12


@dataclass(slots=True)
class SendReaction:
    """What a packet of RTCP asks of the sender."""

    packets: list[bytes] = field(default_factory=list)
    key_frame_wanted: bool = False
    target_bitrate: int | None = None  # bit/s


@dataclass(slots=True)
class SendCounters:
    """What a stream has sent, and what the receiver said of it."""

    packets: int = 0
    bytes: int = 0  # of payload
    frames: int = 0
    key_frames: int = 0
    retransmissions: int = 0
    refused_retransmissions: int = 0  # not in the cache, or over the limit
    key_frame_requests: int = 0
    round_trip_time: float | None = None  # seconds
    fraction_lost: float = 0.0  # 0..1, as last reported
    jitter: float = 0.0  # seconds, as last reported


@dataclass(slots=True)
class _Cached:
    packet: RtpPacket
    resent: float = -1e9


class SendStream:
    """One RTP stream of pictures or sound, with its RTX stream.

    Timestamps are in ticks of clock_rate, from any origin. wall_clock_offset (seconds) turns the monotonic
    `now` into Unix time for sender reports; streams of one member must share it to be synchronised.
    first_sequence_number, first_rtx_sequence_number, timestamp_offset and first_picture_id are random unless
    given.
    """

    def __init__(
        self,
        ssrc: int,
        payload_type: int,
        clock_rate: int,
        *,
        mid: str,
        mid_extension_id: int,
        cname: str,
        codec: Literal["VP8", "H264", "opus"] | None = None,
        audio_level_extension_id: int | None = None,
        rtx_ssrc: int | None = None,
        rtx_payload_type: int | None = None,
        max_payload: int = vp8.MAX_PAYLOAD,
        wall_clock_offset: float = 0.0,
        first_sequence_number: int | None = None,
        first_rtx_sequence_number: int | None = None,
        timestamp_offset: int | None = None,
        first_picture_id: int | None = None,
    ) -> None:
        self.ssrc: Final = ssrc
        self.payload_type: Final = payload_type
        self.clock_rate: Final = clock_rate
        self.codec: Final = codec or ("VP8" if clock_rate == 90000 else "opus")
        self.statistics = SendCounters()
        self._cname: Final = cname
        self._extensions: Final = {mid_extension_id: encode_mid(mid)}
        self._audio_level_id: Final = audio_level_extension_id
        self._rtx: Final = (
            None if rtx_ssrc is None or rtx_payload_type is None else (rtx_ssrc, rtx_payload_type)
        )
        self._max_payload: Final = max_payload
        self._wall_clock_offset: Final = wall_clock_offset
        # The first number stays below 2**15: RFC 3711 section 3.3.1.
        self._sequence = _choose(first_sequence_number, 15)
        self._rtx_sequence = _choose(first_rtx_sequence_number, 15)
        self._timestamp_offset: Final = _choose(timestamp_offset, 32)
        self._picture_id = _choose(first_picture_id, 15)
        self._cache: PacketCache[_Cached] = PacketCache(CACHE_PACKETS)
        self._counts = SendStatistics(clock_rate)
        self._report_due = 0.0
        self._allowance = RETRANSMISSION_BURST
        self._allowance_time = 0.0
        self._last_sound: int | None = None
        self._fir_number: int | None = None

    def video_frame(self, data: bytes, timestamp: int, key_frame: bool, now: float) -> list[bytes]:
        """The packets of one coded picture (Annex B for H264), the last one with the marker."""
        if self.codec == "H264":
            payloads = h264.packetize(data, self._max_payload)
        else:
            payloads = vp8.packetize(data, self._picture_id, self._max_payload)
            self._picture_id = (self._picture_id + 1) & 0x7FFF
        last = len(payloads) - 1
        datagrams = []
        for index, payload in enumerate(payloads):
            packet = self._packet(payload, timestamp, index == last, now)
            self._cache.put(packet.sequence_number, _Cached(packet), now)
            datagrams.append(packet.serialize())
        self.statistics.frames += 1
        self.statistics.key_frames += key_frame
        return datagrams

    def sound(self, data: bytes, timestamp: int, level_dbov: float, voice: bool, now: float) -> bytes:
        """The packet of one piece of coded sound; level in dBov, -127 (silence) .. 0, sign optional."""
        gap = self._last_sound is None or timestamp - self._last_sound > TALK_SPURT_GAP * self.clock_rate
        self._last_sound = timestamp
        packet = self._packet(data, timestamp, gap, now)
        if self._audio_level_id is not None:
            level = encode_audio_level(voice, level_dbov)
            packet.extensions = {**packet.extensions, self._audio_level_id: level}
        return packet.serialize()

    def handle_rtcp(self, packet: RtcpPacket, now: float) -> SendReaction:
        """What a packet of RTCP from the receiver means for this stream; nothing when it is about another."""
        reaction = SendReaction()
        match packet:
            case GenericNack(media_ssrc=ssrc, lost=lost) if ssrc == self.ssrc:
                reaction.packets = self._retransmit(lost, now)
            case PictureLossIndication(media_ssrc=ssrc) if ssrc == self.ssrc:
                reaction.key_frame_wanted = True
            case FullIntraRequest():
                reaction.key_frame_wanted = self._is_new_request(packet)
            case ReceiverEstimate(bitrate=bitrate, ssrcs=ssrcs) if self.ssrc in ssrcs:
                reaction.target_bitrate = bitrate
            case ReceiverReport() | SenderReport():
                self._note_report(packet, now)
        self.statistics.key_frame_requests += reaction.key_frame_wanted
        return reaction

    def tick(self, now: float) -> list[bytes]:
        """The sender report with the source description, once a second while something was sent."""
        if now < self._report_due:
            return []
        report = self._counts.sender_report(self.ssrc, now, now + self._wall_clock_offset)
        if report is None:
            return []
        self._report_due = now + REPORT_INTERVAL
        return [serialize_compound([report, SourceDescription.of(self.ssrc, self._cname)])]

    def _packet(self, payload: bytes, timestamp: int, marker: bool, now: float) -> RtpPacket:
        wire_time = (timestamp + self._timestamp_offset) & 0xFFFFFFFF
        packet = RtpPacket(
            self.payload_type,
            self._sequence,
            wire_time,
            self.ssrc,
            marker,
            payload,
            extensions=self._extensions,
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._counts.sent(len(payload), wire_time, now)
        self.statistics.packets += 1
        self.statistics.bytes += len(payload)
        return packet

    def _retransmit(self, lost: tuple[int, ...], now: float) -> list[bytes]:
        """The packets asked for, as far as they are here and the allowance (a token bucket) reaches."""
        elapsed = max(0.0, now - self._allowance_time)
        self._allowance = min(RETRANSMISSION_BURST, self._allowance + elapsed * RETRANSMISSION_RATE)
        self._allowance_time = now
        datagrams: list[bytes] = []
        for number in lost:
            if self._allowance < 1:
                break
            cached = self._cache.get(number, now)
            if cached is None or now - cached.resent < RETRANSMISSION_PAUSE:
                continue
            cached.resent = now
            self._allowance -= 1
            packet = cached.packet
            if self._rtx is not None:
                packet = encapsulate(packet, self._rtx[1], self._rtx[0], self._rtx_sequence)
                self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
            datagrams.append(packet.serialize())
        self.statistics.retransmissions += len(datagrams)
        self.statistics.refused_retransmissions += len(lost) - len(datagrams)
        return datagrams

    def _is_new_request(self, request: FullIntraRequest) -> bool:
        """True for a FIR to this stream that is not a repeat of the last one (same number)."""
        for ssrc, number in request.requests:
            if ssrc == self.ssrc and number != self._fir_number:
                self._fir_number = number
                return True
        return False

    def _note_report(self, report: ReceiverReport | SenderReport, now: float) -> None:
        for block in report.reports:
            if block.ssrc == self.ssrc:
                statistics = self.statistics
                statistics.fraction_lost = block.fraction_lost / 256
                statistics.jitter = block.jitter / self.clock_rate
                rtt = round_trip_time(block, now + self._wall_clock_offset)
                if rtt is not None:
                    statistics.round_trip_time = rtt


def _choose(value: int | None, bits: int) -> int:
    return secrets.randbits(bits) if value is None else value & ((1 << max(bits, 16)) - 1)
