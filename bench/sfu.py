"""What forwarding a packet costs: CPU of the server, beside other servers and beside the machine's floor.

One publisher (1.5 Mbit/s of VP8, and Opus) to 1, 10, 20 and 50 receivers, then ten members all to all. Light
members, the same for every server, are in processes of their own, so that only the server's own CPU is in its
number; what they receive is decrypted and checked packet by packet. Servers take turns, round by round; the
best of each CPU number counts, because other work on the machine can only make it worse, and the worst of
each loss and delay.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.cpu_meter import cpu_seconds
from bench.janus.server import library_folder, start_janus
from bench.loadbot.crew import Crew, merge, share
from bench.loadbot.worker import Task
from bench.result import Result, Row
from client.app.children import Children, module
from client.services.embedded import EmbeddedServer
from client.services.meetings import open_room

SCENARIO: Final = "forwarding"
#: Seconds measured of each case, seconds before, and how often each is measured.
MEASURED: Final = 4.0
SETTLING: Final = 1.0
ROUNDS: Final = 2
RECEIVERS: Final = (1, 10, 20, 50)
ROOM: Final = 10
#: Other servers that can be measured, besides `floor`, which always is.
PEERS: Final = ("janus",)

_CPU: Final = "cpu_us_per_forwarded_packet"


@dataclass(frozen=True, slots=True)
class Case:
    """`members` in one room, the first `publishers` of them send."""

    name: str
    members: int
    publishers: int

    def tasks(self, server: str, where: str) -> list[Task]:
        """Who sends alone is in a process of its own, so that its times are kept."""
        if self.publishers > 1:
            return share(server, where, self.members, self.publishers, SCENARIO)
        receivers = self.members - 1
        return [
            Task(server, where, 0, 1, 1, SCENARIO),
            Task(server, where, 1, receivers, 1, SCENARIO),
        ]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. CPU in microseconds per packet that arrived; the delay is None for the floor."""

    cpu_us: float
    lost: int = 0
    delay_p99_ms: float | None = None
    complaints: tuple[str, ...] = ()
    others: float = 0.0  # cores that everything else used, the load itself included


def cases(receivers: Sequence[int] = RECEIVERS, room: int = ROOM) -> list[Case]:
    """All cases: one publisher to so many, and a room where all send; `room` 0 leaves that out."""
    found = [Case(f"receivers={count}", count + 1, 1) for count in receivers]
    return [*found, Case(f"room={room}", room, room)] if room else found


def run(
    peers: Sequence[str] = (),
    *,
    measured: float = MEASURED,
    rounds: int = ROUNDS,
    chosen: Sequence[Case] | None = None,
) -> Result:
    """All cases of all servers, some minutes. Raises RuntimeError and its like, whose texts are sentences."""
    if unknown := set(peers) - set(PEERS):
        raise RuntimeError(f"Known peers are {', '.join(PEERS)}; not {', '.join(sorted(unknown))}.")
    if "janus" in peers and library_folder() is None:
        raise RuntimeError("Janus is not installed: the Debian package is called janus.")
    wanted = cases() if chosen is None else list(chosen)
    rows: list[Row] = []
    others: list[float] = []
    notes: list[str] = []
    for case in wanted:
        samples: dict[str, list[Sample]] = {}
        for _ in range(rounds):
            for name in ("hearth", *peers, *(("floor",) if _has_floor(case) else ())):
                samples.setdefault(name, []).append(_SERVERS[name](case, measured))
        rows += rows_of(case, samples)
        others += [sample.others for sample in samples["hearth"]]
        notes += notes_of(case, samples)
    conditions = {
        "traffic": "VP8 1.5 Mbit/s at 30 per second, Opus 50 packets a second; SRTP as negotiated",
        "measured_seconds": measured,
        "rounds": f"best CPU and worst loss and delay of {rounds}, servers in turns",
        "cores_used_by_load_and_others": f"{min(others):.1f} to {max(others):.1f}",
        "network": "loopback",
        "floor": "AES-256-GCM and sendmmsg of the same packets at the same times",
        "notes": " ".join(notes) or "none",
    }
    return Result("sfu", rows, conditions)


def rows_of(case: Case, samples: dict[str, list[Sample]]) -> list[Row]:
    """One row for each peer and metric, or one without a peer."""
    ours = samples["hearth"]
    peers = [name for name in samples if name != "hearth"]
    measures: list[tuple[str, str, Callable[[Sequence[Sample]], float | None]]] = [
        (_CPU, "us", lambda found: round(min(s.cpu_us for s in found), 3))
    ]
    if case.publishers > 1:
        measures.append(("lost_packets", "packets", lambda found: max(s.lost for s in found)))
        measures.append(("forward_delay_ms_p99", "ms", _worst_delay))
    rows = []
    for metric, unit, measure in measures:
        own = measure(ours)
        if own is None:
            continue
        if not peers:
            rows.append(Row(case.name, metric, unit, own))
        for name in peers:
            theirs = measure(samples[name])
            rows.append(Row(case.name, metric, unit, own, None if theirs is None else name, theirs))
    return rows


def notes_of(case: Case, samples: dict[str, list[Sample]]) -> list[str]:
    """What the light members complained of, by server."""
    found = []
    for name, several in samples.items():
        said = sorted({sentence for sample in several for sentence in sample.complaints})
        if said:
            found.append(f"{case.name} {name}: {' '.join(said)}")
    return found


def measure_crew(case: Case, server: str, where: str, pid: int, measured: float) -> Sample:
    """The load of a case on a server that runs as process `pid`."""
    with Crew(case.tasks(server, where)) as crew:
        crew.start()
        time.sleep(SETTLING)
        before, cpu, machine, began = crew.mark(), cpu_seconds(pid), _machine_seconds(), time.monotonic()
        time.sleep(measured)
        spent, busy, after = cpu_seconds(pid) - cpu, _machine_seconds() - machine, crew.mark()
        elapsed = time.monotonic() - began
        report = merge(crew.finish(), case.members)
    packets = after["packets"] - before["packets"]
    if packets <= 0:
        raise RuntimeError(f"Nothing was forwarded: {' '.join(report['complaints'])}")
    return Sample(
        spent / packets * 1e6,
        report["lost"],
        report["forward_delay_ms"]["p99"],
        tuple(report["complaints"]),
        max(0.0, busy - spent) / elapsed,
    )


def _measure_hearth(case: Case, measured: float) -> Sample:
    server = EmbeddedServer(arguments=("--host", "127.0.0.1", "--advertise", "127.0.0.1"))
    try:
        announcement = server.start()
        link = asyncio.run(open_room(announcement, "Bench"))
        return measure_crew(case, "hearth", link, announcement.pid, measured)
    finally:
        server.stop()


def _measure_janus(case: Case, measured: float) -> Sample:
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, Children() as children:
        process, url = start_janus(children, Path(folder))
        return measure_crew(case, "janus", url, process.pid, measured)


def _measure_floor(case: Case, measured: float) -> Sample:
    with _sink() as port, Children() as children:
        receivers = case.members - case.publishers
        command = module("bench.floor", str(port), str(receivers), str(measured))
        child = children.start("floor", command)
        try:
            done: Any = child.events.get(timeout=measured + 30.0)
        except queue.Empty:
            raise RuntimeError(f"The floor gave no number. {child.last_words()}".strip()) from None
    return Sample(done["cpu_seconds"] / done["packets"] * 1e6)


_SERVERS: Final[dict[str, Callable[[Case, float], Sample]]] = {
    "hearth": _measure_hearth,
    "janus": _measure_janus,
    "floor": _measure_floor,
}


@contextmanager
def _sink() -> Iterator[int]:
    """The port of a socket whose datagrams are taken, as receivers would."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        taker.bind(("127.0.0.1", 0))
        taker.settimeout(0.1)
        thread = threading.Thread(target=_drain, args=(taker, over), name="floor-sink", daemon=True)
        thread.start()
        try:
            yield int(taker.getsockname()[1])
        finally:
            over.set()
            thread.join()


def _drain(taker: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            taker.recv(2048)


def _has_floor(case: Case) -> bool:
    """sendmmsg is Linux' own, and the floor is that of one publisher."""
    return case.publishers == 1 and sys.platform == "linux"


def _worst_delay(found: Sequence[Sample]) -> float | None:
    return max((s.delay_p99_ms for s in found if s.delay_p99_ms is not None), default=None)


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
