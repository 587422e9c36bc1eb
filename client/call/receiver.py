"""What comes from one producer: packets in, pictures or sound out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np

from client.media.picture import Picture
from client.media.playback.decode_worker import DecodeWorker
from client.media.playback.sound_stream import SoundStream
from client.media.sound import Samples
from rtc.receive_stream import ReceiveStream
from rtc.rtcp import RtcpPacket
from rtc.rtp import RtpPacket
from rtc.sdp import MediaSection
from rtc.signalling import media

_FULL_SCALE = 32768.0


class Receiver:
    """One stream of one member.

    Made from the answer's section; `handle_*` and `tick` are called by the call thread. Video is decoded
    only while `shown`, by a thread that exists only then.
    """

    def __init__(
        self,
        producer: media.Producer,
        section: MediaSection,
        rtcp_ssrc: int,
        on_picture: Callable[[str, Picture], None],
        ask_key_frame: Callable[[Receiver], None],
    ) -> None:
        codecs = {c.payload_type: c.name for c in section.codecs if c.name.lower() != "rtx"}
        first = next(iter(codecs))
        rtx_codec = section.rtx_for(first)
        ssrc = next(s for s in section.ssrcs if s not in section.rtx.values())
        rtx_ssrc = section.rtx.get(ssrc)
        self.producer = producer
        self.ssrcs = tuple(s for s in (ssrc, rtx_ssrc) if s is not None)
        self.stream = ReceiveStream(
            producer.kind,
            cast("dict[int, Literal['VP8', 'H264', 'opus']]", codecs),
            ssrc,
            section.codecs[0].clock_rate,
            rtcp_ssrc=rtcp_ssrc,
            rtx=None if rtx_ssrc is None or rtx_codec is None else (rtx_ssrc, rtx_codec.payload_type),
        )
        self.sound = _Sound(self.stream) if producer.kind == "audio" else None
        self.frames_decoded = 0
        self.decode_errors = 0
        self._on_picture, self._ask_key_frame = on_picture, ask_key_frame
        self._worker: DecodeWorker | None = None
        self._worker_codec = ""
        self._shown = True

    def show(self, shown: bool) -> None:
        """Whether anybody looks. When somebody begins to look, a key frame is asked for."""
        if shown == self._shown or self.producer.kind != "video":
            return
        self._shown = shown
        if not shown:
            self._stop_worker()
        else:
            self._ask_key_frame(self)

    def handle_rtp(self, packet: RtpPacket, now: float) -> None:
        for frame in self.stream.handle_rtp(packet, now):
            if self._shown:
                self._worker_for(frame.codec).submit(frame)

    def handle_rtcp(self, packet: RtcpPacket, now: float) -> None:
        self.stream.handle_rtcp(packet, now)

    def close(self) -> None:
        self._stop_worker()

    def _worker_for(self, codec: Any) -> DecodeWorker:
        if self._worker is None or codec != self._worker_codec:
            self._stop_worker()
            self._worker_codec = codec
            self._worker = DecodeWorker(
                codec,
                lambda picture: self._on_picture(self.producer.member, picture),
                lambda: self._ask_key_frame(self),
                name=f"decode {self.producer.id}",
            )
            self._worker.start()
        return self._worker

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            # It may be inside a frame; it ends by itself after that one, and nothing waits for it here.
            worker.stop(timeout=0.5)
            self.frames_decoded += worker.counts.decoded
            self.decode_errors += worker.counts.errors

    def decoded(self) -> tuple[int, int]:
        """Frames decoded, and frames that could not be."""
        counts = self._worker.counts if self._worker is not None else None
        return (
            self.frames_decoded + (counts.decoded if counts else 0),
            self.decode_errors + (counts.errors if counts else 0),
        )


class _Sound:
    """Pulled by the mixer's thread: the jitter buffer's packets as samples, and how loud they were."""

    def __init__(self, stream: ReceiveStream) -> None:
        assert stream.audio is not None
        self._stream = SoundStream.of(stream.audio)
        self._lock = threading.Lock()
        self._energy, self._samples = 0.0, 0

    def pull(self, count: int) -> Samples | None:
        samples = self._stream.pull(count)
        if samples is not None:
            wide = samples.astype(np.float64) / _FULL_SCALE
            with self._lock:
                self._energy += float(np.dot(wide, wide))
                self._samples += samples.size
        return samples

    def level_dbfs(self) -> float | None:
        """RMS of everything heard so far, in dB of full scale; None while nothing was heard."""
        with self._lock:
            if not self._samples or self._energy <= 0.0:
                return None
            return 10.0 * float(np.log10(self._energy / self._samples))
