"""Filling the hole of a lost sound packet: the last pitch period goes on and fades.

The idea of ITU-T G.711 Appendix I: voiced speech repeats itself, so the last period is the best guess for the
next 20 ms; after 60 ms a guess is worse than silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.media.sound import Samples

#: Lags searched for a pitch period: 2.5 ms (400 Hz) to 15 ms (67 Hz) at 48 kHz.
_MIN_LAG, _MAX_LAG = 120, 720
#: What is compared: 10 ms.
_WINDOW = 480
_HISTORY = _MAX_LAG + _WINDOW
#: Samples until the guess has faded to nothing: 60 ms.
_FADE = 2880
#: Samples over which the true sound takes over again: 2.5 ms.
_SEAM = 120


class Concealment:
    """Remembers what was played last. Not for several threads at once."""

    def __init__(self) -> None:
        self._history: NDArray[np.float32] = np.zeros(_HISTORY, np.float32)
        self._period: NDArray[np.float32] | None = None  # what is repeated during a hole
        self._made = 0  # samples guessed since the hole began

    def received(self, samples: Samples) -> Samples:
        """True sound came; after a hole its start is blended with the guess."""
        if self._period is not None:
            guess = self._guess(min(_SEAM, samples.size))
            rise = np.linspace(0.0, 1.0, guess.size, dtype=np.float32)
            samples = samples.copy()
            samples[: guess.size] = np.rint(samples[: guess.size] * rise + guess * (1.0 - rise))
            self._period = None
            self._made = 0
        tail = samples[-_HISTORY:].astype(np.float32)
        self._history = np.concatenate((self._history[tail.size :], tail))
        return samples

    def conceal(self, count: int) -> Samples:
        """`count` samples of guess."""
        if self._period is None:
            self._period = self._history[-_pitch(self._history) :].copy()
            self._made = 0
        return np.rint(self._guess(count)).astype(np.int16)

    def _guess(self, count: int) -> NDArray[np.float32]:
        assert self._period is not None
        index = np.arange(self._made, self._made + count)
        gain = np.clip(1.0 - index / _FADE, 0.0, 1.0).astype(np.float32)
        self._made += count
        return self._period[index % self._period.size] * gain


def _pitch(history: NDArray[np.float32]) -> int:
    """The lag at which the last 10 ms resemble what came before most."""
    recent = history[-_WINDOW:]
    energy = float(np.dot(recent, recent))
    if energy <= 1.0:
        return _MAX_LAG
    # Row i of the windows ends _MAX_LAG - i samples before the end.
    past = np.lib.stride_tricks.sliding_window_view(history[: _HISTORY - _MIN_LAG], _WINDOW)
    scores = past @ recent / np.sqrt(np.einsum("ij,ij->i", past, past) + 1.0)
    return _MAX_LAG - int(np.argmax(scores))
