"""Many voices into one: pulled by the speaker, 10 ms at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from client.media.playback.limiter import Limiter
from client.media.sound import SAMPLE_RATE, SILENCE_DBOV, Samples, level_dbov, meter

log = logging.getLogger(__name__)

Pull = Callable[[int], Samples | None]
Tap = Callable[[Samples], None]
#: Seconds in which a level falls by two thirds; it rises at once. For the eye only.
LEVEL_DECAY = 0.2


@dataclass(slots=True)
class _Source:
    pull: Pull
    level: float = 0.0
    dbov: float = float(SILENCE_DBOV)
    failures: int = 0


class Mixer:
    """48 kHz mono, int16. A source's `pull(n)` gives n samples, or None when it has nothing to say.

    `pull` of a source is called from the speaker's thread and must not wait. A source that raises is silent
    for that frame, counted and kept. `tap` sees every mixed frame (echo reference, recorder) in the same
    thread and must not raise.
    """

    def __init__(self) -> None:
        self.tap: Tap | None = None
        self._lock = threading.Lock()
        self._sources: dict[str, _Source] = {}
        self._limiter = Limiter()

    def set_source(self, member_id: str, pull: Pull) -> None:
        """Add a voice or replace it."""
        with self._lock:
            self._sources[member_id] = _Source(pull)

    def rename(self, old: str, new: str) -> None:
        """The voice `old` is that of `new`; no error if it is not there."""
        with self._lock:
            source = self._sources.pop(old, None)
            if source is not None:
                self._sources[new] = source

    def remove(self, member_id: str) -> None:
        """Take a voice away; no error if it is not there."""
        with self._lock:
            self._sources.pop(member_id, None)

    def levels(self) -> dict[str, float]:
        """How loud each voice is for the eye, 0..1, smoothed."""
        with self._lock:
            return {member_id: source.level for member_id, source in self._sources.items()}

    def levels_dbov(self) -> dict[str, float]:
        """The level of each voice's last frame as -dBov (0 loudest, 127 silence)."""
        with self._lock:
            return {member_id: source.dbov for member_id, source in self._sources.items()}

    def pull(self, count: int) -> Samples:
        """The next `count` samples of everybody together. One caller at a time."""
        with self._lock:
            sources = list(self._sources.values())
        total = np.zeros(count, np.float32)
        fall = float(np.exp(-count / (SAMPLE_RATE * LEVEL_DECAY)))
        for source in sources:
            samples = self._pulled(source, count)
            dbov = SILENCE_DBOV
            if samples is not None:
                total += samples
                dbov = level_dbov(samples)
            source.dbov = float(dbov)
            source.level = max(meter(dbov), source.level * fall)
        mixed = self._limiter.process(total)
        if self.tap is not None:
            self.tap(mixed)
        return mixed

    def _pulled(self, source: _Source, count: int) -> Samples | None:
        try:
            samples = source.pull(count)
        except Exception:
            source.failures += 1
            if source.failures == 1:
                log.exception("a voice cannot be read")
            return None
        if samples is not None and samples.size != count:
            source.failures += 1
            return None
        return samples
