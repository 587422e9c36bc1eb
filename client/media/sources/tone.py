"""Sound that needs no microphone: a sine, or silence."""

from __future__ import annotations

import math

import numpy as np

from client.media.sound import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, SoundFrame, silence
from client.media.sources.specs import ToneSpec


class ToneReader:
    """A sine whose phase runs on from frame to frame without a click."""

    def __init__(self, spec: ToneSpec) -> None:
        self.name = f"Tone of {spec.frequency:g} Hz"
        self.period: float | None = FRAME_SECONDS
        # A full-scale sine has a root mean square of -3 dBFS.
        self._amplitude = min(32767.0, 32768.0 * math.sqrt(2.0) * 10.0 ** (spec.level_dbfs / 20.0))
        self._step = 2.0 * math.pi * spec.frequency / SAMPLE_RATE
        self._phase = 0.0
        self._index = np.arange(FRAME_SAMPLES)

    def read(self, now: float) -> SoundFrame:
        """The next 10 ms of the sine."""
        wave = np.sin(self._phase + self._step * self._index) * self._amplitude
        self._phase = math.fmod(self._phase + self._step * FRAME_SAMPLES, 2.0 * math.pi)
        return SoundFrame(np.rint(wave).astype(np.int16), now)

    def close(self) -> None:
        """Nothing to let go of."""


class SilenceReader:
    """Frames of zeros at the pace of a microphone."""

    def __init__(self) -> None:
        self.name = "Silence"
        self.period: float | None = FRAME_SECONDS

    def read(self, now: float) -> SoundFrame:
        """10 ms of nothing."""
        return SoundFrame(silence(), now)

    def close(self) -> None:
        """Nothing to let go of."""
