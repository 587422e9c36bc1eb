"""A whole call as its members see it: join time, pixel to pixel, CPU of client and server.

Case "2 members" is set beside a call of two aiortc peers with the same picture, sound, size and rate; those
talk to each other directly, so what Hearth pays for its server is in the comparison. Case "4 members" has no
peer: aiortc brings no server. Every member is a process of its own.
"""

from __future__ import annotations

import queue
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.result import Result, Row
from client.app.children import Child, Children, module
from client.app.demo_report import Person
from client.app.meeting_stage import SERVER, Part, Stage
from client.app.process_meter import ProcessMeter

#: Seconds that are measured of each call. Longer evens out the machine's other work.
MEASURED = 15.0
#: How often each call is held, Hearth and aiortc in turns; the best of each number counts, because other work
#: on the machine can only make them worse.
ROUNDS = 2
#: Seconds before that, for bitrates and buffers to settle.
SETTLING = 3.0
#: Members who join late one after the other, for the join time.
LATE_JOINERS = 3
PEER = "aiortc"
SIZE = "640x360"

Reports = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Round:
    """One call: what its members reported, CPU seconds per minute by process, cores that others used."""

    reports: Reports
    cpu: dict[str, float]
    others: float


def run(measured: float = MEASURED) -> Result:
    """Run all cases, about three minutes; raises StageError and the like, whose texts are sentences."""
    pairs, quartets, peers = [], [], []
    for _ in range(ROUNDS):
        pairs.append(hearth_call(2, measured, late_joiners=0))
        peers.append(aiortc_call(measured))
        quartets.append(hearth_call(4, measured, late_joiners=LATE_JOINERS))
    rows = [*_rows("2 members", pairs, peers), *_rows("4 members", quartets, ())]
    quietest = min(each.others for each in (*pairs, *quartets, *peers))
    busiest = max(each.others for each in (*pairs, *quartets, *peers))
    conditions = {
        "picture": f"{SIZE}, 30 per second, VP8, test picture with mark",
        "sound": "Opus, tone of 440 Hz",
        "measured_seconds": measured,
        "rounds": f"best of {ROUNDS}",
        "cores_used_by_other_work": f"{quietest:.1f} to {busiest:.1f}",
        "network": "loopback",
        "processes": "one per member, one for the server",
        "join_time": "2 members: mean of both; 4 members: median of members who join a running call",
    }
    return Result("first-call", rows, conditions)


def hearth_call(members: int, measured: float, late_joiners: int) -> Round:
    """A call through our server."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, Stage(Path(folder)) as stage:
        stage.open("Bench")
        names = [f"member-{number}" for number in range(1, members + 1)]
        stage.enter([_part(name, number) for number, name in enumerate(names, 1)])
        cpu, others = _measure(stage.meter, [SERVER, *names], measured)
        for number in range(late_joiners):
            stage.enter([_part(f"late-{number}", 100 + number)])
            time.sleep(2.0)  # long enough to see the first picture of everybody
        reports = stage.dismiss()
    chosen = [reports[name] for name in names if name in reports]
    late = _known([reports[name] for name in reports if name.startswith("late-")], "join_to_first_frame_ms")
    for report in chosen:
        # Those who came first waited for others, not for the server: only late ones tell the join time.
        if late:
            report["join_to_first_frame_ms"] = statistics.median(late)
    return Round(chosen, cpu, others)


def aiortc_call(measured: float) -> Round:
    """The same between two aiortc peers."""
    seconds = SETTLING + measured + 2.0
    meter = ProcessMeter()
    names = ["offer", "answer"]
    with Children() as children:
        peers = []
        for identity, role in enumerate(names, 1):
            arguments = ("--role", role, "--identity", str(identity), "--seconds", str(seconds))
            peers.append(children.start(role, module("bench.aiortc_peer", *arguments)))
            meter.add(role, peers[-1].pid)
        offering, answering = peers
        answering.write(_next(offering, "sdp"))
        offering.write(_next(answering, "sdp"))
        cpu, others = _measure(meter, names, measured)
        return Round([_next(peer, "report")["report"] for peer in peers], cpu, others)


def _part(name: str, identity: int) -> Part:
    return Part(Person(name, "simulated", identity), f"test:{identity}", "tone:440", SIZE)


def _measure(meter: ProcessMeter, names: Sequence[str], measured: float) -> tuple[dict[str, float], float]:
    """CPU seconds per minute by process, and the cores that everything else on the machine used meanwhile."""
    time.sleep(SETTLING)
    meter.sample()
    before = {name: meter.cpu_seconds(name) for name in names}
    machine, started = _machine_seconds(), time.monotonic()
    time.sleep(measured)
    meter.sample()
    elapsed, busy = time.monotonic() - started, _machine_seconds() - machine
    used = {name: meter.cpu_seconds(name) - before[name] for name in names}
    others = max(0.0, busy - sum(used.values())) / elapsed
    return {name: seconds * 60.0 / elapsed for name, seconds in used.items()}, others


def _machine_seconds() -> float:
    """CPU time that the whole machine has spent on work, in seconds."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _next(peer: Child, field: str) -> dict[str, Any]:
    """The next event with this field; RuntimeError when the peer ends or is silent for a minute."""
    try:
        while True:
            event = peer.events.get(timeout=60.0)
            if isinstance(event, dict) and field in event:
                return event
    except queue.Empty:
        raise RuntimeError(f"The aiortc peer gave no {field}. {peer.last_words()}".strip()) from None


def _rows(case: str, ours: Sequence[Round], theirs: Sequence[Round]) -> list[Row]:
    """Every metric, each the best of its rounds; a metric that nobody measured has no row."""
    rows = []
    for metric, unit, measure in _METRICS:
        hearth, peer = _best(ours, measure), _best(theirs, measure)
        if hearth is not None:
            rows.append(Row(case, metric, unit, hearth, None if peer is None else PEER, peer))
    return rows


def _best(rounds: Sequence[Round], measure: Callable[[Round], float | None]) -> float | None:
    values = [value for each in rounds if (value := measure(each)) is not None]
    return round(min(values), 2) if values else None


def _mean(*path: str) -> Callable[[Round], float | None]:
    def measure(each: Round) -> float | None:
        return statistics.fmean(found) if (found := _known(each.reports, *path)) else None

    return measure


def _client_cpu(each: Round) -> float:
    return statistics.fmean(seconds for name, seconds in each.cpu.items() if name != SERVER)


def _whole_cpu(each: Round) -> float:
    return sum(each.cpu.values())


def _server_cpu(each: Round) -> float | None:
    return each.cpu.get(SERVER)


_METRICS: tuple[tuple[str, str, Callable[[Round], float | None]], ...] = (
    ("join to first frame", "ms", _mean("join_to_first_frame_ms")),
    ("pixel to pixel p50", "ms", _mean("glass_to_glass_ms", "p50")),
    ("pixel to pixel p99", "ms", _mean("glass_to_glass_ms", "p99")),
    ("CPU of a client per minute", "s", _client_cpu),
    ("CPU of all clients and server per minute", "s", _whole_cpu),
    ("CPU of the server per minute", "s", _server_cpu),
)


def _known(reports: Sequence[dict[str, Any]], *path: str) -> list[float]:
    values = []
    for report in reports:
        value: Any = report
        for step in path:
            value = (value or {}).get(step)
        if value is not None:
            values.append(float(value))
    return values
