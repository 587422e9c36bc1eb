"""How long to wait before something that died is started again."""

from __future__ import annotations

#: Seconds: the first start is nearly at once, a process that keeps dying does not eat the machine.
STEPS = (0.1, 0.5, 1.0, 2.0, 5.0)
#: A life this long (seconds) counts as healthy: the next death starts over.
HEALTHY = 10.0


class Backoff:
    """Pure: told how long the last life was, says how long to wait."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lifetime: float) -> float:
        """Seconds to wait after a life of `lifetime` seconds."""
        if lifetime >= HEALTHY:
            self._deaths = 0
        delay = STEPS[min(self._deaths, len(STEPS) - 1)]
        self._deaths += 1
        return delay
