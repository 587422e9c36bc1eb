"""Tries whether a path takes more, with bursts at a higher rate. Pure; microseconds and bit/s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Microseconds that a probe lasts at its rate, and bytes at least. Longer measures better and fills the queue
#: of a path that takes no more.
PROBE_US: Final = 15_000
PROBE_BYTES: Final = 3_500
#: Microseconds between probes while more is wanted than is known to pass. Shorter finds new room sooner and
#: disturbs a full path more often.
INTERVAL_US: Final = 2_000_000
#: Microseconds after which a probe that was not acknowledged is given up.
GIVE_UP_US: Final = 1_000_000
#: What a probe tries, of the estimate; and of what it must have reached for the next one to follow at once.
STEP: Final = 2.0
SUCCESS: Final = 0.7
#: A path whose receiver got less than this part of the rate that was sent is full: this much of it is used.
_FULL: Final = 0.9
_UTILISATION: Final = 0.95


@dataclass(frozen=True, slots=True)
class Probe:
    """Send `size` bytes at `rate` bit/s under the number `cluster`."""

    cluster: int
    size: int
    rate: int


class _Cluster:
    __slots__ = (
        "arrived",
        "first_arrived",
        "first_sent",
        "last_arrived",
        "last_sent",
        "packets",
        "probe",
        "since",
    )

    def __init__(self, probe: Probe, now: int) -> None:
        self.probe, self.since = probe, now
        self.packets = self.arrived = 0
        self.first_sent = self.first_arrived = self.last_sent = self.last_arrived = 0


class Prober:
    """One probe at a time; `result` is what the last one showed, bit/s."""

    def __init__(self) -> None:
        self._clusters = 0
        self._running: _Cluster | None = None
        self._next_at = 0
        self._again = False  # the last one succeeded: the next follows at once

    def due(self, estimate: float, wanted: float, most: float, now: int) -> Probe | None:
        """The probe to send now, if more than the estimate is `wanted`."""
        running = self._running
        if running is not None:
            if now - running.since < GIVE_UP_US:
                return None
            self._running, self._next_at = None, now + INTERVAL_US
        target = min(estimate * STEP, most, wanted * 1.5)
        if (
            wanted <= estimate * 1.05
            or target <= estimate * 1.05
            or (now < self._next_at and not self._again)
        ):
            return None
        self._again = False
        self._clusters += 1
        size = max(int(target / 8 * PROBE_US / 1e6), PROBE_BYTES)
        probe = Probe(self._clusters, size, int(target))
        self._running = _Cluster(probe, now)
        return probe

    def wait(self, now: int) -> None:
        """The path is full just now."""
        self._next_at, self._again = max(self._next_at, now + INTERVAL_US // 2), False

    def packet(self, cluster: int, sent: int, arrived: int, size: int, now: int) -> float | None:
        """An acknowledged packet of a probe; bit/s that the path takes once enough has arrived."""
        running = self._running
        if running is None or running.probe.cluster != cluster:
            return None
        if not running.packets:
            running.first_sent, running.first_arrived, running.arrived = sent, arrived, -size
        running.packets += 1
        running.arrived += size  # the first packet's bytes came before the time is taken
        running.last_sent, running.last_arrived = (
            max(sent, running.last_sent),
            max(arrived, running.last_arrived),
        )
        if running.packets < 3 or running.arrived + size < 0.8 * running.probe.size:
            return None
        return self._finish(running, now)

    def _finish(self, done: _Cluster, now: int) -> float:
        bits = done.arrived * 8e6
        sent_rate = bits / max(done.last_sent - done.first_sent, 1)
        got_rate = bits / max(done.last_arrived - done.first_arrived, 1)
        result = min(sent_rate, got_rate, done.probe.rate * 1.1)
        if got_rate < _FULL * min(sent_rate, done.probe.rate):
            result = min(result, got_rate * _UTILISATION)
        self._running = None
        self._again = result >= SUCCESS * done.probe.rate
        self._next_at = now + INTERVAL_US
        return result
