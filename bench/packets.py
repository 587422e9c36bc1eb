"""Microseconds of CPU per packet of the packet layer, beside aiortc's own classes on the same bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from time import thread_time
from typing import Any, Final

from aiortc import rtp as peer
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters

from bench.result import Result, Row
from rtc.audio_jitter_buffer import AudioJitterBuffer
from rtc.header_extensions import AUDIO_LEVEL, MID
from rtc.jitter_buffer import VideoJitterBuffer
from rtc.nack import NackTracker
from rtc.packet_cache import PacketCache
from rtc.reports import ReceptionStatistics
from rtc.rewrite import StreamRewriter
from rtc.rtcp import GenericNack, ReceiverReport, ReportBlock, parse_compound
from rtc.rtp import RtpPacket
from rtc.vp8 import Vp8Descriptor, packetize, rewrite_vp8

#: Bytes of a full packet of video, and packets of one video frame in the jitter buffer cases.
PAYLOAD: Final = 1100
FRAME_PACKETS: Final = 8

#: Calls per measurement, and measurements of which the quickest counts: noise only ever adds.
CALLS: Final = 5000
ROUNDS: Final = 7

Call = Callable[[], object]


def _time(call: Call) -> float:
    started = thread_time()
    for _ in range(CALLS):
        call()
    return (thread_time() - started) / CALLS * 1e6


def _compare(ours: Call, theirs: Call | None) -> tuple[float, float | None]:
    """Microseconds per call of both, measured in turns so that a slow moment of the machine hits both."""
    best, best_peer = float("inf"), float("inf")
    for _ in range(ROUNDS):
        best = min(best, _time(ours))
        if theirs is not None:
            best_peer = min(best_peer, _time(theirs))
    return round(best, 3), None if theirs is None else round(best_peer, 3)


def _extensions_map() -> peer.HeaderExtensionsMap:
    known = peer.HeaderExtensionsMap()
    extensions = [
        RTCRtpHeaderExtensionParameters(id=1, uri=AUDIO_LEVEL),
        RTCRtpHeaderExtensionParameters(id=4, uri=MID),
    ]
    known.configure(RTCRtpParameters(headerExtensions=extensions))
    return known


def _rtp_cases() -> Iterator[tuple[str, Call, Call | None]]:
    known = _extensions_map()
    payload = packetize(os.urandom(PAYLOAD), 300, 1180)[0]
    plain = RtpPacket(96, 7, 8, 9, True, payload)
    full = RtpPacket(96, 7, 8, 9, True, payload, extensions={1: b"\x9e", 4: b"0"})
    for name, packet in (("without extensions", plain), ("with mid and audio level", full)):
        data = packet.serialize()
        parsed = peer.RtpPacket.parse(data, known)
        yield (
            f"RTP parse {name}",
            partial(RtpPacket.parse, data),
            partial(peer.RtpPacket.parse, data, known),
        )
        yield f"RTP serialize {name}", packet.serialize, partial(parsed.serialize, known)


def _rtcp_cases() -> Iterator[tuple[str, Call, Call | None]]:
    nack = GenericNack(1, 2, (5, 7, 9, 40)).serialize()
    report = ReceiverReport(1, (ReportBlock(2, 3, 4, 5, 6, 7, 8),)).serialize()
    yield "RTCP parse NACK", lambda: parse_compound(nack), lambda: peer.RtcpPacket.parse(nack)
    yield (
        "RTCP parse receiver report",
        lambda: parse_compound(report),
        lambda: peer.RtcpPacket.parse(report),
    )


def _vp8_cases() -> Iterator[tuple[str, Call, Call | None]]:
    payload = packetize(os.urandom(PAYLOAD), 300, 1180)[0]
    yield (
        "VP8 descriptor parse",
        lambda: Vp8Descriptor.parse(payload),
        lambda: VpxPayloadDescriptor.parse(payload),
    )
    yield "VP8 picture id rewrite", lambda: rewrite_vp8(payload, 301, None), None


def _forwarding_cases() -> Iterator[tuple[str, Call, Call | None]]:
    numbers = iter(range(1 << 40))
    rewriter, nack, reception = StreamRewriter(), NackTracker(), ReceptionStatistics(90000)
    cache: PacketCache[bytes] = PacketCache()
    yield "rewrite", lambda: rewriter.rewrite(next(numbers) & 0xFFFF, 1, 2, None, 0), None
    others = iter(range(1 << 40))
    yield "NACK tracker", lambda: nack.received(next(others) & 0xFFFF, 0.0), None
    arrivals = iter(range(1 << 40))
    yield "reception statistics", lambda: reception.received(next(arrivals) & 0xFFFF, 1, 0.0), None
    places = iter(range(1 << 40))
    yield "packet cache put", lambda: cache.put(next(places) & 0xFFFF, b"", 0.0), None


def _video_packets() -> Iterator[RtpPacket]:
    """An endless stream of delta frames behind one key frame; each packet is new."""
    frame = b"\x11\x02\x00" + os.urandom(PAYLOAD * FRAME_PACKETS)
    key = b"\x10\x02\x00\x9d\x01\x2a" + frame[6:]
    sequence = count = 0
    while True:
        payloads = packetize(frame if count else key, count & 0x7FFF)
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            yield RtpPacket(96, sequence & 0xFFFF, count * 3000 & 0xFFFFFFFF, 1, last, payload)
            sequence += 1
        count += 1


def _peer_packets() -> Iterator[peer.RtpPacket]:
    for packet in _video_packets():
        other = peer.RtpPacket(
            payload_type=96,
            marker=int(packet.marker),
            sequence_number=packet.sequence_number,
            timestamp=packet.timestamp,
            ssrc=1,
            payload=packet.payload,
        )
        # What aiortc's receiver sets before it hands a packet to its jitter buffer.
        other._data = VpxPayloadDescriptor.parse(packet.payload)[1]  # type: ignore[attr-defined]
        yield other


def _buffer_cases() -> Iterator[tuple[str, Call, Call | None]]:
    ours, theirs = _video_packets(), _peer_packets()
    buffer, peer_buffer = VideoJitterBuffer(), JitterBuffer(capacity=128, is_video=True)
    yield (
        "video jitter buffer, packet made and added",
        lambda: buffer.add(next(ours), 0.0),
        lambda: peer_buffer.add(next(theirs)),
    )
    sound = AudioJitterBuffer()
    numbers = iter(range(1 << 40))

    def turn() -> Any:
        number = next(numbers)
        packet = RtpPacket(111, number & 0xFFFF, number * 960 & 0xFFFFFFFF, 1, False, b"\xf8sound")
        sound.add(packet, number * 0.02)
        return sound.pop(number * 0.02)

    yield "audio jitter buffer, add and pop", turn, None


def run() -> Result:
    """Measures every case; a few seconds."""
    rows = []
    for cases in (_rtp_cases, _rtcp_cases, _vp8_cases, _forwarding_cases, _buffer_cases):
        for case, ours, theirs in cases():
            hearth, other = _compare(ours, theirs)
            peer_name = None if theirs is None else "aiortc"
            rows.append(Row(case, "CPU per packet", "microseconds", hearth, peer_name, other))
    conditions = {"payload_bytes": PAYLOAD, "calls": CALLS, "rounds": ROUNDS, "statistic": "minimum"}
    return Result("packets", rows, conditions)
