"""What comes from one producer: packets in, pictures or sound out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from client.media.picture import Picture
from client.media.playback.decode_worker import DecodeWorker
from client.media.playback.sound_stream import SoundStream
from client.media.sound import Samples
from rtc.receive_stream import ReceiveStream
from rtc.rtcp import RtcpPacket
from rtc.rtp import RtpPacket
from rtc.sdp import MediaSection, SdpError
from rtc.signalling import media

_FULL_SCALE = 32768.0
#: Codecs that can be decoded here, by the lower-case name in a description.
_CODECS: dict[str, Literal["VP8", "H264", "opus"]] = {"vp8": "VP8", "h264": "H264", "opus": "opus"}
#: Seconds for which a stream that is not shown any more is still looked after: repairs under way come to
#: their end. Longer goes on asking for key frames that nobody needs.
HIDDEN_CARE_S = 1.0


class Receiver:
    """One stream of one member.

    Made from the answer's section (raises SdpError if that cannot be received); `handle_*`, `show`, `tick`
    and `close` are called by the call thread and never wait. Video is decoded only while `shown`, by a thread
    that exists only then. `on_picture` and `ask_key_frame` are called from that thread too; no picture comes
    after `show(False)` or `close()` returned.
    """

    def __init__(
        self,
        producer: media.Producer,
        section: MediaSection,
        rtcp_ssrc: int,
        on_picture: Callable[[str, Picture], None],
        ask_key_frame: Callable[[Receiver], None],
    ) -> None:
        named = {c.payload_type: _CODECS.get(c.name.lower()) for c in section.codecs}
        codecs = {pt: name for pt, name in named.items() if name is not None}
        ssrc = next((s for s in section.ssrcs if s not in section.rtx.values()), None)
        if not codecs or ssrc is None or section.kind != producer.kind:
            raise SdpError("A section cannot be received.")
        first = next(iter(codecs))
        rtx_codec, rtx_ssrc = section.rtx_for(first), section.rtx.get(ssrc)
        self.producer, self.mid = producer, section.mid
        self.ssrcs = tuple(s for s in (ssrc, rtx_ssrc) if s is not None)
        self.stream = ReceiveStream(
            producer.kind,
            codecs,
            ssrc,
            next(c.clock_rate for c in section.codecs if c.payload_type == first),
            rtcp_ssrc=rtcp_ssrc,
            rtx=None if rtx_ssrc is None or rtx_codec is None else (rtx_ssrc, rtx_codec.payload_type),
        )
        self.sound = _Sound(self.stream) if producer.kind == "audio" else None
        self._frames_decoded = self._decode_errors = 0  # by workers that ended
        self._on_picture, self._ask_key_frame = on_picture, ask_key_frame
        self._worker: DecodeWorker | None = None
        self._worker_codec = ""
        self._ending: list[DecodeWorker] = []
        self._lock = threading.Lock()  # held while a picture is handed on
        self._shown = True
        self._hidden_at: float | None = None

    def show(self, shown: bool) -> None:
        """Whether anybody looks. When somebody begins to look, a key frame is asked for."""
        if shown == self._shown or self.producer.kind != "video":
            return
        self._shown = shown
        if not shown:
            self._stop_worker()
        else:
            self._hidden_at = None
            self._ask_key_frame(self)

    def handle_rtp(self, packet: RtpPacket, now: float) -> None:
        for frame in self.stream.handle_rtp(packet, now):
            if self._shown:
                self._worker_for(frame.codec).submit(frame)

    def handle_rtcp(self, packet: RtcpPacket, now: float) -> None:
        self.stream.handle_rtcp(packet, now)

    def tick(self, now: float) -> list[bytes]:
        """RTCP that is due."""
        if not self._shown:
            self._hidden_at = now if self._hidden_at is None else self._hidden_at
            if now - self._hidden_at > HIDDEN_CARE_S:
                return []
        return self.stream.tick(now)

    def close(self) -> None:
        """No picture comes any more; `wait_closed` waits for the threads."""
        self._shown = False
        self._stop_worker()

    def wait_closed(self, timeout: float) -> bool:
        """Blocks until the decoder threads are gone; False if they were not in `timeout` seconds each."""
        ended = [worker.stop(timeout) for worker in self._ending]  # all of them, whichever is late
        return all(ended)

    def decoded(self) -> tuple[int, int]:
        """Frames decoded, and frames that could not be."""
        counts = self._worker.counts if self._worker is not None else None
        return (
            self._frames_decoded + (counts.decoded if counts else 0),
            self._decode_errors + (counts.errors if counts else 0),
        )

    def _worker_for(self, codec: Any) -> DecodeWorker:
        if self._worker is None or codec != self._worker_codec:
            self._stop_worker()
            worker = DecodeWorker(
                codec,
                lambda picture: self._hand_on(worker, picture),
                lambda: self._ask_key_frame(self),
                name=f"decode {self.producer.id}",
            )
            self._worker, self._worker_codec = worker, codec
            worker.start()
        return self._worker

    def _hand_on(self, worker: DecodeWorker, picture: Picture) -> None:
        # In the worker's thread. It may have been inside a frame when it was told to stop.
        with self._lock:
            if worker is self._worker:
                self._on_picture(self.producer.member, picture)

    def _stop_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(timeout=0.0)  # the loop waits for nothing: the thread ends after its frame
            self._frames_decoded += worker.counts.decoded
            self._decode_errors += worker.counts.errors
            self._ending = [w for w in self._ending if not w.stop(timeout=0.0)] + [worker]


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
