"""Encoded frames of one source for somebody who is not a receiver: a recorder, a captioner. Pure.

The path of the packets does not know it: what a tap cannot keep is dropped and counted, here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from rtc.errors import PacketError
from rtc.fanout import Codec, Flag, Record
from rtc.fanout_red import primary
from rtc.jitter_buffer import VideoCodec, VideoJitterBuffer
from rtc.rtp import RtpPacket
from server_lite.layer import Layer

#: Frames that wait to be fetched. More rides out longer pauses of a disk; each holds up to some 100 kB.
MAX_WAITING: Final = 300
#: Microseconds after which a hole is given up and a key frame is asked for. Longer repairs more, and keeps
#: what follows waiting.
GIVE_UP_US: Final = 500_000

_VIDEO: Final[dict[int, VideoCodec]] = {Codec.VP8: "VP8", Codec.H264: "H264"}


@dataclass(frozen=True, slots=True)
class TappedFrame:
    """One coded picture or packet of sound, as it was sent. `timestamp` is that of RTP in `clock_rate`."""

    codec: str
    data: bytes
    timestamp: int
    clock_rate: int
    key_frame: bool
    arrival: int  # microseconds


class FrameTap:
    """Gather with `take()`. Of a picture in layers the largest that comes is taken, from a key frame on.

    Counters: `dropped` (nobody fetched them in time), `unreadable` (a codec that is not taken apart here).
    """

    def __init__(self) -> None:
        self.dropped = self.unreadable = 0
        self._frames: deque[TappedFrame] = deque(maxlen=MAX_WAITING)
        self._buffer: VideoJitterBuffer | None = None
        self._layer: Layer | None = None
        self._blocked_since: int | None = None

    def packet(self, data: bytes, record: Record, layer: Layer, now: int) -> None:
        """Every packet of every layer of the source, as it came."""
        if record.flags & Flag.EMPTY:
            return
        try:
            packet = RtpPacket.parse(data)
        except PacketError:
            return
        if layer.producer.kind == "audio":
            self._sound(packet, record, layer, now)
            return
        codec = _VIDEO.get(record.codec)
        if codec is None:
            self.unreadable += 1
            return
        if layer is not self._layer:
            best = layer.producer.ranked()[-1]
            if not record.flags & Flag.KEY_START or (layer is not best and best.active(now)):
                return
            self._layer, self._buffer = layer, VideoJitterBuffer(codec)
        self._picture(packet, codec, now)

    def _sound(self, packet: RtpPacket, record: Record, layer: Layer, now: int) -> None:
        sound = packet.payload
        if record.codec == Codec.RED:
            block = primary(sound)
            if block is None or layer.producer.plan.codecs.get(block[0]) != "OPUS":
                self.unreadable += 1
                return
            sound = block[1]
        self._keep(TappedFrame("OPUS", sound, packet.timestamp, 48000, True, now))

    def wants_key_frame_of(self, layer: Layer, now: int) -> bool:
        """Whether nothing can go on without one; asked now and then."""
        buffer = self._buffer
        if buffer is None or self._layer is not layer or not layer.active(now):
            return buffer is None or self._layer is None or not self._layer.active(now)
        if not buffer.blocked:
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > GIVE_UP_US:
            buffer.give_up(now / 1e6)
            self._blocked_since = None
        return buffer.needs_key_frame

    def take(self) -> list[TappedFrame]:
        """What has come since the last time, in decoding order."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def _picture(self, packet: RtpPacket, codec: VideoCodec, now: int) -> None:
        if self._buffer is None:
            return
        for frame in self._buffer.add(packet, now / 1e6):
            self._keep(
                TappedFrame(codec, frame.data, frame.timestamp & 0xFFFFFFFF, 90000, frame.key_frame, now)
            )

    def _keep(self, frame: TappedFrame) -> None:
        if len(self._frames) == MAX_WAITING:
            self.dropped += 1
        self._frames.append(frame)
