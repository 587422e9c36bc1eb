"""The servers of the bench sfu, each started alone, loaded and measured: ours, ours without the kernel,
Janus, and the machine's floor."""

from __future__ import annotations

import asyncio
import queue
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.cpu_meter import cpu_seconds
from bench.janus.server import start_janus
from bench.loadbot.crew import Crew, merge, share
from bench.loadbot.worker import Task
from client.app.children import Children, module
from client.services.embedded import Announcement, EmbeddedServer
from client.services.meetings import open_room

#: Seconds of load before what is measured.
SETTLING: Final = 0.5
#: Seconds at most until the caches of a server have filled up: its memory may grow until then.
WARM: Final = 60.0
#: Arguments of our server; all else is as it is for anybody.
_LOOPBACK: Final = ("--host", "127.0.0.1", "--advertise", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Case:
    """`members` in one room, the first `publishers` of them send."""

    name: str
    members: int
    publishers: int
    scenario: str = "forwarding"

    def tasks(self, server: str, where: str) -> list[Task]:
        """Who sends alone is in a process of its own, so that its times are kept."""
        if self.publishers > 1:
            return share(server, where, self.members, self.publishers, self.scenario)
        receivers = self.members - 1
        return [
            Task(server, where, 0, 1, 1, self.scenario, self.members),
            Task(server, where, 1, receivers, 1, self.scenario, self.members),
        ]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. CPU in microseconds per packet that arrived; the delay is None for the floor."""

    cpu_us: float
    lost: int = 0
    delay_p99_ms: float | None = None
    complaints: tuple[str, ...] = ()
    others: float = 0.0  # cores that everything else used, the load itself included
    memory_growth_mb: float | None = None
    lowered: int = 0  # pictures that the server left out or lowered because of its load


@contextmanager
def hearth(*arguments: str) -> Iterator[Announcement]:
    """Our server, gone when the context is left."""
    server = EmbeddedServer(arguments=(*_LOOPBACK, *arguments))
    try:
        yield server.start()
    finally:
        server.stop()


def meeting(announcement: Announcement) -> str:
    """The link of a fresh one."""
    return asyncio.run(open_room(announcement, "Bench"))


def measure_crew(case: Case, server: str, where: str, pid: int, measured: float) -> Sample:
    """The load of a case on a server that runs as process `pid`."""
    with Crew(case.tasks(server, where)) as crew:
        crew.start()
        time.sleep(SETTLING)
        before, cpu, machine, began = crew.mark(), cpu_seconds(pid), machine_seconds(), time.monotonic()
        warm = min(WARM, measured / 2)
        time.sleep(warm)
        memory = psutil.Process(pid).memory_info().rss
        time.sleep(measured - warm)
        spent, busy, after = cpu_seconds(pid) - cpu, machine_seconds() - machine, crew.mark()
        elapsed = time.monotonic() - began
        grown = psutil.Process(pid).memory_info().rss - memory
        report = merge(crew.finish(), case.members, case.scenario, case.publishers)
    packets = after["packets"] - before["packets"]
    if packets <= 0:
        raise RuntimeError(f"Nothing was forwarded: {' '.join(report['complaints'])}")
    return Sample(
        spent / packets * 1e6,
        report["lost"] + report["repaired"],
        report["forward_delay_ms"]["p99"],
        tuple(report["complaints"]),
        max(0.0, busy - spent) / elapsed,
        grown / (1 << 20),
        report["lowered_by_load"],
    )


def measure(name: str, case: Case, measured: float) -> Sample:
    """One case on one of SERVERS, or the floor."""
    if name == "floor":
        return _floor(case, measured)
    if name == "janus":
        with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, Children() as children:
            process, url = start_janus(children, Path(folder))
            return measure_crew(case, "janus", url, process.pid, measured)
    plane = ("--forwarding", "python") if name == "python-twin" else ()
    with hearth(*plane) as announcement:
        return measure_crew(case, "hearth", meeting(announcement), announcement.pid, measured)


def machine_seconds() -> float:
    """CPU seconds of all processes so far."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _floor(case: Case, measured: float) -> Sample:
    with _sinks(case.members - case.publishers) as ports, Children() as children:
        child = children.start("floor", module("bench.floor", str(measured), *map(str, ports)))
        try:
            done: Any = child.events.get(timeout=measured + 30.0)
        except queue.Empty:
            raise RuntimeError(f"The floor gave no number. {child.last_words()}".strip()) from None
    return Sample(done["cpu_seconds"] / done["packets"] * 1e6)


@contextmanager
def _sinks(count: int) -> Iterator[Sequence[int]]:
    """The ports of sockets whose datagrams are taken, as receivers would."""
    over = threading.Event()
    takers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for taker in takers:
            taker.bind(("127.0.0.1", 0))
            taker.setblocking(False)
        thread = threading.Thread(target=_drain, args=(takers, over), name="floor-sinks", daemon=True)
        thread.start()
        try:
            yield [int(taker.getsockname()[1]) for taker in takers]
        finally:
            over.set()
            thread.join()
    finally:
        for taker in takers:
            taker.close()


def _drain(takers: Sequence[socket.socket], over: threading.Event) -> None:
    with selectors.DefaultSelector() as selector:
        for taker in takers:
            selector.register(taker, selectors.EVENT_READ, taker)
        while not over.is_set():
            for key, _ in selector.select(0.1):
                with suppress(OSError):
                    while True:
                        key.data.recv(2048)
            time.sleep(0.005)
