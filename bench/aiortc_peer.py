"""One end of a two-member call made of aiortc alone: its own encoder, jitter buffer and decoder.

It sends the same marked test picture and tone as a Hearth member and reads the marks of what it receives.
Descriptions go as JSON lines over standard input and output, so both ends are processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError

from client.app.figures import TileFigures, p50_p99
from client.media import mark
from client.media.picture import Picture
from client.media.sound import SAMPLE_RATE
from client.media.sources.specs import TestPictureSpec, ToneSpec
from client.media.sources.test_picture import TestPictureReader
from client.media.sources.tone import ToneReader

_LINE_LIMIT = 256 * 1024


class MarkedPictures(VideoStreamTrack):
    """The test picture at 30 per second, marked with the moment it is handed to the encoder."""

    def __init__(self, spec: TestPictureSpec) -> None:
        super().__init__()
        self._reader = TestPictureReader(spec)

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = self._reader.read(time.monotonic()).to_av()
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """The tone of a Hearth member in frames of 20 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = ToneReader(ToneSpec())
        self._started: float | None = None
        self._sent = 0

    async def recv(self) -> av.AudioFrame:
        now = time.monotonic()
        self._started = now if self._started is None else self._started
        await asyncio.sleep(max(0.0, self._started + self._sent / SAMPLE_RATE - now))
        samples = np.concatenate([self._reader.read(now).samples for _ in range(2)])
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        frame.pts, self._sent = self._sent, self._sent + samples.size
        return frame


class Peer:
    """One connection, one tile."""

    def __init__(self, spec: TestPictureSpec) -> None:
        self.tile = TileFigures()
        self.audio_frames = 0
        self.started = time.monotonic()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._watching: list[asyncio.Task[None]] = []
        self._connection.on("track", self._on_track)
        self._connection.addTrack(Tone())
        self._connection.addTrack(MarkedPictures(spec))

    async def offer(self) -> None:
        """Offer, and take the answer."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        _say(self._connection.localDescription)
        await self._connection.setRemoteDescription(await _hear())

    async def answer(self) -> None:
        """Take an offer, and answer it."""
        await self._connection.setRemoteDescription(await _hear())
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        _say(self._connection.localDescription)

    async def close(self) -> None:
        """End the call."""
        await self._connection.close()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def report(self) -> dict[str, Any]:
        """What the tile showed, in the fields of a Hearth member's report."""
        first = self.tile.first_at
        return {
            "frames_shown": self.tile.shown,
            "distinct_pictures": len(self.tile.times),
            "audio_frames": self.audio_frames,
            "join_to_first_frame_ms": None if first is None else (first - self.started) * 1000,
            "glass_to_glass_ms": p50_p99(list(self.tile.delays_ms)),
        }

    def _on_track(self, track: MediaStreamTrack) -> None:
        watch = self._watch_video if track.kind == "video" else self._watch_audio
        self._watching.append(asyncio.ensure_future(watch(track)))

    async def _watch_video(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                now = time.monotonic()
                if not isinstance(frame, av.VideoFrame):
                    continue
                seen = mark.read(Picture.from_av(frame, now))
                self.tile.saw(
                    None if seen is None else seen.identity, 0.0 if seen is None else seen.time, now
                )
        except MediaStreamError:
            return  # the call is over

    async def _watch_audio(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                self.audio_frames += 1
        except MediaStreamError:
            return


def _say(description: RTCSessionDescription) -> None:
    print(json.dumps({"type": description.type, "sdp": description.sdp}), flush=True)


async def _hear() -> RTCSessionDescription:
    line = await asyncio.to_thread(sys.stdin.readline, _LINE_LIMIT)
    said = json.loads(line)
    return RTCSessionDescription(said["sdp"], said["type"])


async def _call(options: argparse.Namespace) -> None:
    peer = Peer(TestPictureSpec(options.identity, 640, 360, 30.0))
    try:
        await (peer.offer() if options.role == "offer" else peer.answer())
        await asyncio.sleep(options.seconds)
        report = peer.report()
    finally:
        await peer.close()
    print(json.dumps({"report": report}), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Be one end of the call for --seconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.aiortc_peer", description=__doc__)
    parser.add_argument("--role", choices=("offer", "answer"), required=True)
    parser.add_argument("--identity", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asyncio.run(_call(parser.parse_args(argv)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
