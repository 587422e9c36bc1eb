"""An event loop whose clock jumps: a minute of waiting costs nothing and is the same every run.

No sockets and no threads in such tests: the clock jumps as soon as every task waits, whatever the
outside world is doing. What needs real packets runs on an ordinary loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Real seconds to wait for something from outside once no task has a timer left.
PATIENCE = 1.0


class VirtualClock:
    """A clock in seconds that moves only when told. Call it to read it, as `time.monotonic()`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move on by `seconds` (>= 0) and return the new time."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.now += seconds
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    """Where a real loop would sleep, move the clock instead."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.clock.advance(max(0.0, timeout))
            return []
        ready = super().select(PATIENCE)
        if not ready:
            raise RuntimeError("every task waits for something that never happens, and no timer is set")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on a `VirtualClock`: timers fire in order, at once."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        selector = _JumpingSelector()
        selector.clock = self.clock
        super().__init__(selector)

    def time(self) -> float:
        return self.clock.now


class VirtualTime:
    """What the `virtual_time` fixture hands out: a clock, and a way to run a coroutine on it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.clock.now

    def make_loop(self) -> VirtualTimeLoop:
        """A new loop on this clock."""
        return VirtualTimeLoop(self.clock)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` to its end in virtual time."""
        with asyncio.Runner(loop_factory=self.make_loop) as runner:
            return runner.run(coroutine)
