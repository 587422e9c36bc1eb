"""The sending half of a light member: stamped frames at their times, and answers to RTCP."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.loadbot.scenarios import SOUND_BYTES, SOUND_INTERVAL, Scenario
from bench.loadbot.stamp import Stamp, opus_packet, vp8_frame
from rtc.header_extensions import AUDIO_LEVEL, MID
from rtc.rtcp import RtcpPacket
from rtc.sdp import Codec, MediaSection
from rtc.send_stream import SendStream
from rtc.transport import PeerTransport

OPUS: Final = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1")
VP8: Final = Codec(96, "VP8", 90000, 1, "", ("nack", "nack pli", "ccm fir"))
RTX: Final = Codec(97, "rtx", 90000, 1, "apt=96")
MID_ID: Final = 1
LEVEL_ID: Final = 2
SOUND_MID: Final = "0"
VIDEO_MID: Final = "1"

#: A key frame is so many times the size of the others, and at most so many bytes.
_KEY_FRAME_FACTOR: Final = 4
_KEY_FRAME_BYTES: Final = 40_000
_SPEECH_DBOV, _SILENCE_DBOV = -25.0, -90.0


class Sending:
    """What one publisher sends. `speaks(now)` says whether it is its turn."""

    def __init__(self, number: int, scenario: Scenario, speaks: Callable[[float], bool]) -> None:
        self._number, self._scenario, self._speaks = number, scenario, speaks
        name, offset = f"load-{number}", time.time() - time.monotonic()
        self.sound = SendStream(
            random.randrange(1, 1 << 32),
            OPUS.payload_type,
            OPUS.clock_rate,
            mid=SOUND_MID,
            mid_extension_id=MID_ID,
            cname=name,
            audio_level_extension_id=LEVEL_ID,
            wall_clock_offset=offset,
        )
        self.video: SendStream | None = None
        self.rtx_ssrc: int | None = None
        if scenario.video_bitrate:
            self.rtx_ssrc = random.randrange(1, 1 << 32)
            self.video = SendStream(
                random.randrange(1, 1 << 32),
                VP8.payload_type,
                VP8.clock_rate,
                mid=VIDEO_MID,
                mid_extension_id=MID_ID,
                cname=name,
                rtx_ssrc=self.rtx_ssrc,
                rtx_payload_type=RTX.payload_type,
                wall_clock_offset=offset,
            )
        self.packets = 0
        self.key_frame_wanted = True
        self._sound_number = self._frame_number = 0

    @property
    def streams(self) -> list[SendStream]:
        return [self.sound] if self.video is None else [self.sound, self.video]

    def sections(self) -> list[MediaSection]:
        """What an offer says of the streams."""
        found = [section("audio", SOUND_MID, "sendonly")]
        if self.video is not None:
            found.append(section("video", VIDEO_MID, "sendonly"))
        for made, stream in zip(found, self.streams, strict=True):
            made.cname = made.stream_id = f"load-{self._number}"
            made.ssrcs = [stream.ssrc]
            if stream is self.video and self.rtx_ssrc is not None:
                made.ssrcs.append(self.rtx_ssrc)
                made.rtx = {stream.ssrc: self.rtx_ssrc}
        return found

    async def run(self, transport: PeerTransport) -> None:
        """Sends until it is cancelled. Publishers begin at random phases, as people do."""
        sound_due = time.monotonic() + random.random() * SOUND_INTERVAL
        video_due = time.monotonic() + random.random() / self._scenario.fps
        while True:
            now = time.monotonic()
            if now >= sound_due:
                sound_due = max(sound_due + SOUND_INTERVAL, now - 0.2)
                self._send(transport, [self._sound_packet(now)])
            if self.video is not None and now >= video_due:
                video_due = max(video_due + 1 / self._scenario.fps, now - 0.2)
                self._send(transport, self._video_packets(self.video, now))
            for stream in self.streams:
                for report in stream.tick(now):
                    transport.send_rtcp(report)
            due = sound_due if self.video is None else min(sound_due, video_due)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def handle_rtcp(self, packets: Sequence[RtcpPacket], transport: PeerTransport, now: float) -> None:
        for packet in packets:
            for stream in self.streams:
                reaction = stream.handle_rtcp(packet, now)
                self.key_frame_wanted |= reaction.key_frame_wanted
                self._send(transport, reaction.packets, counted=False)

    def _send(self, transport: PeerTransport, packets: Sequence[bytes], counted: bool = True) -> None:
        for packet in packets:
            transport.send_rtp(packet)
        self.packets += len(packets) if counted else 0

    def _sound_packet(self, now: float) -> bytes:
        voice = self._speaks(now)
        data = opus_packet(Stamp(self._number, self._sound_number, now), SOUND_BYTES)
        timestamp = int(self._sound_number * SOUND_INTERVAL * OPUS.clock_rate)
        self._sound_number += 1
        return self.sound.sound(data, timestamp, _SPEECH_DBOV if voice else _SILENCE_DBOV, voice, now)

    def _video_packets(self, video: SendStream, now: float) -> list[bytes]:
        key_frame, self.key_frame_wanted = self.key_frame_wanted, False
        size = self._scenario.frame_bytes
        if key_frame:
            size = min(_KEY_FRAME_FACTOR * size, max(size, _KEY_FRAME_BYTES))
        data = vp8_frame(Stamp(self._number, self._frame_number, now), size, key_frame)
        timestamp = int(self._frame_number * VP8.clock_rate / self._scenario.fps)
        self._frame_number += 1
        return video.video_frame(data, timestamp, key_frame, now)


def section(kind: str, mid: str, direction: Any) -> MediaSection:
    """An m-section with the codecs and header extensions of a light member."""
    codecs = [OPUS] if kind == "audio" else [VP8, RTX]
    return MediaSection(kind, mid, direction, codecs=codecs, extensions={MID_ID: MID, LEVEL_ID: AUDIO_LEVEL})
