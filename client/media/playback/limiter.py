"""Keeps the sum of many voices inside 16 bits without the rattle of clipping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.media.sound import SAMPLE_RATE, Samples

#: Loudest sample that is let through untouched, about -1 dBFS.
CEILING = 29_200.0
#: Seconds in which the gain comes back by two thirds. Raising it pumps less and stays quiet longer.
RELEASE = 0.15


class Limiter:
    """A peak limiter per frame: gain falls at once (ramped over the frame), recovers slowly.

    What still sticks out during the ramp is bent by a soft knee, so nothing wraps around.
    """

    def __init__(self) -> None:
        self._gain = 1.0

    def process(self, total: NDArray[np.float32]) -> Samples:
        """`total`: the sum of int16 sounds as float32, any length; returns int16 of the same length."""
        if total.size == 0:
            return np.zeros(0, np.int16)
        peak = float(np.abs(total).max())
        target = min(1.0, CEILING / peak) if peak > 0.0 else 1.0
        if target < self._gain:
            gain = target
        else:
            share = 1.0 - float(np.exp(-total.size / (SAMPLE_RATE * RELEASE)))
            gain = self._gain + (target - self._gain) * share
        if gain >= 0.9999 and self._gain >= 0.9999:
            self._gain = 1.0
            return np.rint(total).astype(np.int16)
        # The ramp is short: a fifth of the frame, so a sudden shout is caught within 2 ms.
        ramp = np.full(total.size, gain, np.float32)
        short = max(1, total.size // 5)
        ramp[:short] = np.linspace(self._gain, gain, short, dtype=np.float32)
        self._gain = gain
        return _knee(total * ramp)


def _knee(samples: NDArray[np.float32]) -> Samples:
    """Bend what lies above the ceiling towards full scale, by a hyperbolic tangent."""
    room = 32_767.0 - CEILING
    size = np.abs(samples)
    over = size > CEILING
    if over.any():
        bent = CEILING + room * np.tanh((size[over] - CEILING) / room)
        samples = samples.copy()
        samples[over] = np.sign(samples[over]) * bent
    return np.rint(samples).astype(np.int16)
