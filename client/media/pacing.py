"""Keeping the pace of a source that has no clock of its own."""

from __future__ import annotations


class Pacer:
    """When the next item is due, on the monotonic clock. Pure: time comes in as a parameter.

    A source that was held up catches up without a gap as long as it is less than `patience` seconds late (so
    sound loses nothing); later than that, the missed items are given up and the pace starts anew.
    """

    def __init__(self, period: float, patience: float = 0.25) -> None:
        if period <= 0.0:
            raise ValueError("a period must be positive")
        self._period = period
        self._patience = patience
        self._due: float | None = None

    def delay(self, now: float) -> float:
        """Seconds to wait from `now` until the next item is due; 0 if it is due already."""
        if self._due is None or now - self._due > self._patience:
            self._due = now
        return max(0.0, self._due - now)

    def advance(self) -> float:
        """The item was made; returns the time it was due at."""
        assert self._due is not None, "delay() comes before advance()"
        due = self._due
        self._due = due + self._period
        return due
