"""One encoding of a source, under one SSRC: what arrives of it, and who waits for it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtc import vp8
from rtc.errors import PacketError
from rtc.fanout import Codec, Flag, Record, StreamStatistics
from rtc.keyframes import KeyframeThrottle
from rtc.nack import NackTracker
from rtc.reports import middle_ntp
from rtc.rtcp import ReportBlock, SenderReport
from rtc.rtp import RtpPacket
from server_lite.ladder import Layer as Option

if TYPE_CHECKING:
    from server_lite.consumer import Consumer
    from server_lite.producer import Producer

#: Spatial times temporal layers that one stream can hold; both are numbered from 0 to 3 at most.
SUBLAYERS: Final = 16
#: Microseconds without a packet after which a layer is taken for switched off by its sender, if another layer
#: of the same picture still comes. Longer freezes those who watch it; shorter mistakes the pause that an
#: encoder makes after key frames for the end.
STALLED_US: Final = 800_000
#: The same where it is the only layer, or all are silent: shares that rest send little.
SILENT_US: Final = 5_000_000
#: The least part of a new measurement in a rate; the first ones count alike. Higher follows the encoder
#: faster. Lower sees past what each key frame does: an encoder sends too much, and for a second next to
#: nothing, and who believed that would put the layer on a path that cannot carry it.
_RATE_GAIN: Final = 0.2
REPAIRED, DESCRIBED = int(Flag.REPAIRED), int(Flag.DESCRIBED)
#: Bit/s, and part of itself, by which a rate has to change before receivers are allocated anew. More is
#: calmer and costs less, less is nearer.
_RATE_STEP: Final = 10_000
_RATE_PART: Final = 0.08
#: Pictures per second taken for a stream with all its temporal layers; each one less halves it.
_FPS: Final = 30.0


class Layer:
    """One SSRC of a producer. `ssrc` is 0 and `stream` -1 until it is known."""

    __slots__ = (
        "_expected_before",
        "_measures",
        "_octets_before",
        "_received_before",
        "_report_time",
        "_sender_report",
        "_told_rates",
        "described",
        "height",
        "index",
        "key_frames",
        "last_packet",
        "nacks",
        "octets",
        "packets",
        "producer",
        "rates",
        "repaired",
        "rid",
        "rtx_ssrc",
        "ssrc",
        "stream",
        "waiting",
    )

    def __init__(
        self, producer: Producer, index: int, rid: str, ssrc: int, rtx_ssrc: int, video: bool
    ) -> None:
        self.producer, self.index, self.rid = producer, index, rid
        self.ssrc, self.rtx_ssrc = ssrc, rtx_ssrc
        self.stream = -1
        self.key_frames = KeyframeThrottle()
        self.nacks = NackTracker() if video else None
        self.waiting: set[Consumer] = set()  # those who go over at the next key frame
        self.last_packet = 0  # microseconds
        self.packets = self.repaired = 0
        self.described = False  # its packets carry dependency descriptors
        self.height = 0  # of the latest key frame in pixels, 0 unknown
        self.octets = [0] * SUBLAYERS  # of payload, by spatial x 4 + temporal
        self.rates = [0.0] * SUBLAYERS  # bit/s
        self._told_rates = [0] * SUBLAYERS  # with all sublayers below, as receivers were allocated by
        self._octets_before = [0] * SUBLAYERS
        self._measures = [0] * SUBLAYERS  # how many are in each rate
        self._expected_before = self._received_before = 0
        self._sender_report, self._report_time = 0, 0

    def received(self, record: Record, now: int) -> None:
        """Counts a packet of this stream."""
        self.packets += 1
        self.described = self.described or bool(record.flags & DESCRIBED)
        self.last_packet = now
        missed = self.nacks is not None and self.nacks.received(record.sequence, now / 1e6)
        if record.flags & REPAIRED:
            self.repaired += 1
            if not missed:
                return  # browsers probe for bandwidth with packets that have come already
        self.octets[(record.spatial & 3) << 2 | record.temporal & 3] += record.size

    def key_frame_began(self, packet: bytes, codec: int, now: int) -> None:
        """A key frame's first packet: requests are fulfilled, and VP8 says how large the picture is."""
        self.key_frames.key_frame_seen(now / 1e6)
        if codec == Codec.VP8:
            try:
                self.height = (
                    vp8.frame_height(vp8.depacketize(RtpPacket.parse(packet).payload)[1]) or self.height
                )
            except PacketError:
                return

    def active(self, now: int) -> bool:
        """Whether its sender sends it just now."""
        silent = now - self.last_packet
        if not self.packets or silent > SILENT_US:
            return False
        newest = max(layer.last_packet for layer in self.producer.layers)
        return silent < STALLED_US or newest - self.last_packet < STALLED_US

    def measure(self, elapsed: float) -> None:
        """Takes the rates anew; `elapsed` seconds since the last time."""
        for index, octets in enumerate(self.octets):
            before = self._octets_before[index]
            if octets != before or self.rates[index]:
                rate = (octets - before) * 8 / elapsed
                self._measures[index] += 1
                gain = max(1 / self._measures[index], _RATE_GAIN)
                self.rates[index] += (rate - self.rates[index]) * gain
                self._octets_before[index] = octets

    @property
    def top_spatial(self) -> int:
        """The highest spatial layer that has come."""
        return max((i >> 2 for i, octets in enumerate(self.octets) if octets), default=0)

    def options(self, height: int, *, active: bool) -> list[Option]:
        """What of it could be forwarded: its sublayers up to each spatial and temporal one that comes."""
        seen = [i for i, octets in enumerate(self.octets) if octets] or [0]
        spatial, temporal = max(i >> 2 for i in seen), max(i & 3 for i in seen)
        found = []
        for s in range(spatial + 1):
            for t in range(temporal + 1):
                rate = sum(r for i, r in enumerate(self.rates) if i >> 2 <= s and i & 3 <= t)
                fps = _FPS / (1 << (temporal - t))
                told = self._told_rates[s << 2 | t]
                if abs(rate - told) > max(_RATE_STEP, told * _RATE_PART):
                    told = self._told_rates[s << 2 | t] = round(rate)
                found.append(Option(self.index, s, t, height >> (spatial - s), told, fps, active))
        return found

    @property
    def rate(self) -> float:
        """Of all its sublayers, bit/s."""
        return sum(self.rates)

    def adopt(self, record: Record, *, repair: bool) -> bool:
        """Takes an SSRC that the offer did not name; False where it has another one already."""
        if repair:
            if not self.ssrc or self.rtx_ssrc not in (0, record.ssrc):
                return False
            self.rtx_ssrc = record.ssrc
            return True
        if self.ssrc not in (0, record.ssrc):
            return False
        self.ssrc = record.ssrc
        return True

    def sender_report(self, report: SenderReport, now: int) -> None:
        self._sender_report, self._report_time = middle_ntp(report.ntp_time), now

    def report_block(self, statistics: StreamStatistics, now: int) -> ReportBlock:
        """How it arrives since the last time (RFC 3550 section 6.4.1)."""
        expected = statistics.highest_sequence - statistics.base_sequence + 1
        interval = expected - self._expected_before
        received = statistics.packets - self.repaired  # loss is about the path
        lost = interval - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        fraction = min(255, lost * 256 // interval) if interval > 0 and lost > 0 else 0
        total = min(max(expected - received, -0x800000), 0x7FFFFF)
        delay = (now - self._report_time) * 65536 // 1_000_000 if self._sender_report else 0
        return ReportBlock(
            self.ssrc,
            fraction,
            total,
            statistics.highest_sequence & 0xFFFFFFFF,
            statistics.jitter_q4 >> 4,
            self._sender_report,
            min(max(delay, 0), 0xFFFFFFFF),
        )

    def dump(self) -> dict[str, object]:
        return {
            "rid": self.rid,
            "packets": self.packets,
            "bitrate": round(self.rate),
            "height": self.height,
            "waiting": len(self.waiting),
        }
