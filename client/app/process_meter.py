"""CPU time and memory of processes with all their children, remembered beyond their end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

_Key = tuple[int, float]  # pid and start time: a pid alone may be used again


@dataclass(slots=True)
class _Tree:
    pid: int
    cpu: dict[_Key, float] = field(default_factory=dict)
    rss: int = 0


class ProcessMeter:
    """Sample now and then and once more before a process ends: what runs between samples is counted in full
    at the next one, what a process used after its last sample is lost."""

    def __init__(self) -> None:
        self._trees: dict[str, _Tree] = {}

    def add(self, name: str, pid: int) -> None:
        """Watch the process and whatever it starts."""
        self._trees[name] = _Tree(pid)

    def sample(self) -> None:
        """Look at every process that still runs."""
        for tree in self._trees.values():
            rss = 0
            for process in _family(tree.pid):
                try:
                    with process.oneshot():
                        times = process.cpu_times()
                        tree.cpu[process.pid, process.create_time()] = times.user + times.system
                        rss += process.memory_info().rss
                except psutil.Error:
                    continue
            if rss:
                tree.rss = rss

    def cpu_seconds(self, name: str) -> float:
        """User and system time up to the last sample, with children, in seconds."""
        return round(sum(self._trees[name].cpu.values()), 2)

    def rss_bytes(self, name: str) -> int:
        """Resident memory at the last sample in which the process ran, with children."""
        return self._trees[name].rss


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
    except psutil.Error:
        return
