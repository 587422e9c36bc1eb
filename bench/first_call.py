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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.result import Result, Row
from client.app.children import Child, Children, module
from client.app.demo_report import Person
from client.app.meeting_stage import SERVER, Part, Stage
from client.app.process_meter import ProcessMeter

#: Seconds that are measured of each call. Longer evens out the machine's other work.
MEASURED = 20.0
#: Seconds before that, for bitrates and buffers to settle.
SETTLING = 3.0
#: Members who join late one after the other, for the join time.
LATE_JOINERS = 3
PEER = "aiortc"
SIZE = "640x360"

Window = dict[str, float]  # CPU seconds per minute of call, by process name


def run(measured: float = MEASURED) -> Result:
    """Run all cases, about two minutes; raises StageError and the like, whose texts are sentences."""
    pair, pair_cpu = hearth_call(2, measured, late_joiners=0)
    quartet, quartet_cpu = hearth_call(4, measured, late_joiners=LATE_JOINERS)
    peers, peers_cpu = aiortc_call(measured)
    rows = [
        *_rows("2 members", pair, pair_cpu, peers, peers_cpu),
        *_rows("4 members", quartet, quartet_cpu),
    ]
    conditions = {
        "picture": f"{SIZE}, 30 per second, VP8, test picture with mark",
        "sound": "Opus, tone of 440 Hz",
        "measured_seconds": measured,
        "network": "loopback",
        "processes": "one per member, one for the server",
        "join_time": "2 members: mean of both; 4 members: median of members who join a running call",
    }
    return Result("first-call", rows, conditions)


def hearth_call(members: int, measured: float, late_joiners: int) -> tuple[list[dict[str, Any]], Window]:
    """A call through our server: the members' own reports and the CPU time per minute."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, Stage(Path(folder)) as stage:
        stage.open("Bench")
        names = [f"member-{number}" for number in range(1, members + 1)]
        stage.enter([_part(name, number) for number, name in enumerate(names, 1)])
        cpu = _measure(stage.meter, [SERVER, *names], measured)
        for number in range(late_joiners):
            stage.enter([_part(f"late-{number}", 100 + number)])
            time.sleep(2.0)  # long enough to see the first picture of everybody
        reports = stage.dismiss()
    chosen = [reports[name] for name in names if name in reports]
    late = [report for name, report in reports.items() if name.startswith("late-")]
    for report in chosen:
        # Those who came first waited for others, not for the server: only late ones tell the join time.
        if late:
            report["join_to_first_frame_ms"] = statistics.median(_known(late, "join_to_first_frame_ms"))
    return chosen, cpu


def aiortc_call(measured: float) -> tuple[list[dict[str, Any]], Window]:
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
        cpu = _measure(meter, names, measured)
        return [_next(peer, "report")["report"] for peer in peers], cpu


def _part(name: str, identity: int) -> Part:
    return Part(Person(name, "simulated", identity), f"test:{identity}", "tone:440", SIZE)


def _measure(meter: ProcessMeter, names: Sequence[str], measured: float) -> Window:
    time.sleep(SETTLING)
    meter.sample()
    before = {name: meter.cpu_seconds(name) for name in names}
    started = time.monotonic()
    time.sleep(measured)
    meter.sample()
    minutes = (time.monotonic() - started) / 60.0
    return {name: (meter.cpu_seconds(name) - before[name]) / minutes for name in names}


def _next(peer: Child, field: str) -> dict[str, Any]:
    """The next event with this field; RuntimeError when the peer ends or is silent for a minute."""
    try:
        while True:
            event = peer.events.get(timeout=60.0)
            if isinstance(event, dict) and field in event:
                return event
    except queue.Empty:
        raise RuntimeError(f"The aiortc peer gave no {field}. {peer.last_words()}".strip()) from None


def _rows(
    case: str,
    ours: Sequence[dict[str, Any]],
    our_cpu: Window,
    theirs: Sequence[dict[str, Any]] = (),
    their_cpu: Window | None = None,
) -> list[Row]:
    clients = [value for name, value in our_cpu.items() if name != SERVER]
    peer_clients = list((their_cpu or {}).values())

    def row(metric: str, unit: str, hearth: float, peer: float | None) -> Row:
        return Row(case, metric, unit, round(hearth, 2), None if peer is None else PEER, _rounded(peer))

    def mean(reports: Sequence[dict[str, Any]], *path: str) -> float | None:
        return statistics.fmean(found) if (found := _known(reports, *path)) else None

    rows = [
        row(metric, unit, value, mean(theirs, *path))
        for metric, unit, path in (
            ("join to first frame", "ms", ("join_to_first_frame_ms",)),
            ("pixel to pixel p50", "ms", ("glass_to_glass_ms", "p50")),
            ("pixel to pixel p99", "ms", ("glass_to_glass_ms", "p99")),
        )
        if (value := mean(ours, *path)) is not None
    ]
    rows.append(
        row(
            "CPU of a client per minute", "s", statistics.fmean(clients),
            statistics.fmean(peer_clients) if peer_clients else None,
        )
    )  # fmt: skip
    whole = sum(peer_clients) if peer_clients else None
    rows.append(row("CPU of all clients and server per minute", "s", sum(our_cpu.values()), whole))
    rows.append(Row(case, "CPU of the server per minute", "s", round(our_cpu[SERVER], 2)))
    return rows


def _known(reports: Sequence[dict[str, Any]], *path: str) -> list[float]:
    values = []
    for report in reports:
        value: Any = report
        for step in path:
            value = (value or {}).get(step)
        if value is not None:
            values.append(float(value))
    return values


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
