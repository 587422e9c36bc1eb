"""What sound is made of here: 10 ms frames of mono 16-bit samples at 48 kHz, and how loud they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
#: Samples in one 10 ms frame, the step of every sound chain.
FRAME_SAMPLES = 480
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
#: Samples in one Opus packet (20 ms).
PACKET_SAMPLES = 960
#: RFC 6464: the level that means digital silence.
SILENCE_DBOV = 127

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class SoundFrame:
    """10 ms of sound: int16 `samples` of shape (480,), `captured_at` the monotonic time of the first one."""

    samples: Samples
    captured_at: float


def silence() -> Samples:
    """One 10 ms frame of digital silence."""
    return np.zeros(FRAME_SAMPLES, np.int16)


def level_dbov(samples: Samples) -> int:
    """The level of RFC 6464: -dBov of the root mean square, 0 (loudest) .. 127 (silence)."""
    if samples.size == 0:
        return SILENCE_DBOV
    flat = samples.astype(np.float32)
    power = float(np.dot(flat, flat)) / samples.size
    if power <= 0.0:
        return SILENCE_DBOV
    decibels = 10.0 * math.log10(power / (32768.0 * 32768.0))
    return min(SILENCE_DBOV, max(0, round(-decibels)))


def meter(dbov: float) -> float:
    """A level for the eye, 0..1: -60 dBov and below is 0, 0 dBov is 1, linear in decibels between."""
    return min(1.0, max(0.0, 1.0 - dbov / 60.0))


class VoiceGate:
    """Tells voice from background by energy against a floor that follows the room.

    The floor sinks at once with a quieter frame and rises by `floor_rise` dB per second. A frame is voice if
    it is `margin` dB above the floor and louder than `minimum` dBov; the flag holds for `hangover` seconds,
    so the ends of words are not cut (raise it: less chopping, slower to fall silent).
    """

    def __init__(
        self, margin: float = 9.0, minimum: float = 55.0, hangover: float = 0.3, floor_rise: float = 3.0
    ) -> None:
        self._margin = margin
        self._minimum = minimum
        self._hangover = hangover
        self._floor_rise = floor_rise
        self._floor = 70.0  # -dBov: a greater number is quieter
        self._held = 0.0

    def voice(self, dbov: int, seconds: float) -> bool:
        """Whether a frame of `seconds` with the level -`dbov` dBov is voice or still held."""
        loud = dbov <= self._minimum and dbov <= self._floor - self._margin
        if dbov > self._floor:
            self._floor = min(float(dbov), 90.0)
        else:
            self._floor = max(self._floor - self._floor_rise * seconds, float(dbov))
        if loud:
            self._held = self._hangover
            return True
        self._held = max(0.0, self._held - seconds)
        return self._held > 0.0
