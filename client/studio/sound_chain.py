"""Sound from the source to Opus packets, in order: 10 ms frames in, 20 ms packets out, levels beside."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

from client.media.codec.errors import CodecError
from client.media.codec.opus import OpusEncoder
from client.media.sound import (
    FRAME_SAMPLES,
    PACKET_SAMPLES,
    SAMPLE_RATE,
    SILENCE_DBOV,
    Samples,
    SoundFrame,
    VoiceGate,
    level_dbov,
    meter,
)
from client.media.sources import SoundSourceSpec, SourceThread, open_sound
from client.studio.messages import (
    EncodeSound,
    Level,
    SoundEncoded,
    SourceFailed,
    SourceStarted,
    StudioEvent,
)

log = logging.getLogger(__name__)

#: Frames between two levels: 100 ms.
LEVEL_FRAMES = 10


class SampleClock:
    """RTP timestamps for sound: counted in samples, and set forward when the source left a gap.

    Pure. A count that is `tolerance` seconds behind the clock means that sound is missing, not late.
    """

    def __init__(self, tolerance: float = 0.1) -> None:
        self._tolerance = tolerance
        self._next: int | None = None

    def stamp(self, captured_at: float, samples: int) -> int:
        """The timestamp (48 kHz, 32 bits) of a frame of `samples`, captured at that monotonic time."""
        actual = round(captured_at * SAMPLE_RATE)
        if self._next is None or actual - self._next > self._tolerance * SAMPLE_RATE:
            self._next = actual
        stamp = self._next
        self._next = stamp + samples
        return stamp & 0xFFFF_FFFF


class SoundChain:
    """One source thread, which also encodes (a tenth of a millisecond per packet)."""

    def __init__(self, emit: Callable[[StudioEvent], None]) -> None:
        self._emit = emit
        self._source: SourceThread[SoundFrame] | None = None
        self._spec: SoundSourceSpec | None = None
        self._lock = threading.Lock()
        self._wanted = EncodeSound(on=False)
        self._encoder: OpusEncoder | None = None
        self._encoder_bitrate = 0
        self._clock = SampleClock()
        self._gate = VoiceGate()
        self._pending: tuple[SoundFrame, int] | None = None
        self._loudest = SILENCE_DBOV  # the loudest level since the last Level event
        self._frames = 0

    def use(self, spec: SoundSourceSpec | None) -> None:
        """Change the source. The old device is let go first; waits for it at most 1.5 s.

        The source that runs already is left alone; one that failed is tried again.
        """
        if self._source is not None:
            if spec == self._spec and self._source.running:
                return
            self._source.stop()
            self._source = None
            self._pending = None
            self._emit(Level(0.0))
        self._spec = spec
        if spec is None:
            return
        self._source = SourceThread(
            lambda: open_sound(spec),
            self._heard,
            lambda name: self._emit(SourceStarted("sound", name)),
            lambda sentence: self._emit(SourceFailed("sound", sentence)),
            name="sound source",
            stamp_due=True,
        )
        self._source.start()

    def encode(self, command: EncodeSound) -> None:
        """Start, stop or change the encoding. After stopping no packet is emitted any more."""
        with self._lock:
            self._wanted = command
            if not command.on:
                self._pending = None

    def close(self) -> None:
        """Stop the source."""
        self.use(None)

    def _heard(self, frame: SoundFrame) -> None:
        stamp = self._clock.stamp(frame.captured_at, FRAME_SAMPLES)
        self._meter(frame)
        with self._lock:
            if not self._wanted.on:
                return
            if self._pending is None or (stamp - self._pending[1]) & 0xFFFF_FFFF != FRAME_SAMPLES:
                self._pending = (frame, stamp)  # the first half, or the second one belongs to another time
                return
            (first, first_stamp), self._pending = self._pending, None
            packet = self._packet(np.concatenate((first.samples, frame.samples)), first_stamp)
            if packet is not None:
                self._emit(packet)

    def _meter(self, frame: SoundFrame) -> None:
        self._loudest = min(self._loudest, level_dbov(frame.samples))
        self._frames += 1
        if self._frames >= LEVEL_FRAMES:
            self._emit(Level(meter(self._loudest)))
            self._frames, self._loudest = 0, SILENCE_DBOV

    def _packet(self, samples: Samples, stamp: int) -> SoundEncoded | None:
        if self._encoder is None or self._encoder_bitrate != self._wanted.bitrate:
            self._encoder = OpusEncoder(self._wanted.bitrate)
            self._encoder_bitrate = self._wanted.bitrate
        dbov = level_dbov(samples)
        voice = self._gate.voice(dbov, PACKET_SAMPLES / SAMPLE_RATE)
        try:
            return SoundEncoded(self._encoder.encode(samples), stamp, dbov, voice)
        except CodecError as error:
            log.warning("20 ms of sound were lost: %s", error)
            return None
