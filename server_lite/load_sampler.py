"""Measures the load of this process twice a second: how late its loop is, its CPU, its packets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from server_lite.load import LoadManager, Measures, Sample

log = logging.getLogger(__name__)

#: Seconds of one sample. Longer smooths more, shorter reacts sooner.
SAMPLE_S = 0.5
#: Wakes of one sample, each of which tells how late the loop is. More cost CPU in an idle server.
WAKES = 2


class LoadSampler:
    """`traffic` gives datagrams and octets in and out since the start; `apply` is told of each change.

    `clock` is the loop's if not given; `cpu` gives seconds of CPU of the process, all threads.
    """

    def __init__(
        self,
        manager: LoadManager,
        traffic: Callable[[], tuple[int, int]],
        apply: Callable[[Measures], None],
        clock: Callable[[], float] | None = None,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._manager, self._traffic, self._apply = manager, traffic, apply
        self._clock, self._cpu = clock, cpu

    async def run(self) -> None:
        """Until it is cancelled."""
        clock = self._clock or asyncio.get_running_loop().time
        began, spent, (packets, octets) = clock(), self._cpu(), self._traffic()
        while True:
            late = 0.0
            for _ in range(WAKES):
                due = clock() + SAMPLE_S / WAKES
                await asyncio.sleep(SAMPLE_S / WAKES)
                late += max(clock() - due, 0.0)
            now, cpu, traffic = clock(), self._cpu(), self._traffic()
            passed = max(now - began, 1e-3)
            sample = Sample(
                # Counters start anew where what they count did.
                packets=max(traffic[0] - packets, 0) / passed,
                bits=max(traffic[1] - octets, 0) * 8 / passed,
                delay_ms=late / WAKES * 1000,
                cores=(cpu - spent) / passed,
            )
            began, spent, (packets, octets) = now, cpu, traffic
            measures = self._manager.measure(sample, now)
            if measures.changed:
                log.warning("load step %d: %s; now %s", measures.step, measures.reason, measures.limits)
                self._apply(measures)
