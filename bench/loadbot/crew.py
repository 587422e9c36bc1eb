"""All workers of a load: started, marked and stopped together, their reports summed and judged."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final

from bench.loadbot.delays import Delays
from bench.loadbot.findings import Findings
from bench.loadbot.member import LoadError
from bench.loadbot.scenarios import SCENARIOS
from bench.loadbot.verdicts import complaints, trouble_complaints, turn_complaints
from bench.loadbot.worker import READY_TIMEOUT, Task
from client.app.children import Child, Children, module

#: Members of one process: one core carries about so many in a room where a few send.
MEMBERS_PER_PROCESS: Final = 60
#: Seconds for what is on its way to come after the last packet was sent.
_TAIL: Final = 0.5
_ANSWER_TIMEOUT: Final = 30.0


class Crew:
    """Use as a context: when it is left, every worker has ended."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = list(tasks)
        self._children = Children()
        self._workers: list[Child] = []
        self._cpu: tuple[float, list[float]] | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.stop_all()

    def start(self) -> None:
        """Starts all workers and waits until streams flow to every member; raises LoadError."""
        for number, task in enumerate(self._tasks):
            worker = self._children.start(f"load-{number}", module("bench.loadbot.worker"))
            worker.write(asdict(task))
            self._workers.append(worker)
        most = max((task.members for task in self._tasks), default=0)
        self._answers("ready", _ANSWER_TIMEOUT + READY_TIMEOUT + 0.2 * most)
        self.begin()

    def begin(self) -> None:
        """Losses and delays count from now on; what was found before does not."""
        self._ask({"do": "begin", "at": time.monotonic()}, "begun")

    def add(self, tasks: Sequence[Task]) -> None:
        """Members of more tasks, one for each worker from the first on; waits until streams flow to them."""
        for worker, task in zip(self._workers, tasks, strict=False):
            worker.write({"do": "add", "task": asdict(task)})
        deadline = time.monotonic() + _ANSWER_TIMEOUT + READY_TIMEOUT
        for worker, _ in zip(self._workers, tasks, strict=False):
            _next(worker, "ready", deadline)

    def mark(self) -> dict[str, int]:
        """Packets `sent` and received (`packets`) by all until now."""
        marks = self._ask({"do": "mark"}, "mark")
        return {key: sum(mark[key] for mark in marks) for key in ("packets", "sent")}

    def busiest(self) -> float:
        """The share of a core that the busiest worker used since the last call."""
        now, cpu = time.monotonic(), [mark["cpu"] for mark in self._ask({"do": "mark"}, "mark")]
        before, self._cpu = self._cpu, (now, cpu)
        if before is None:
            return 0.0
        return float(max(a - b for a, b in zip(cpu, before[1], strict=True)) / max(now - before[0], 0.001))

    def finish(self) -> list[dict[str, Any]]:
        """Stops sending, lets the rest arrive, and gives every worker's report."""
        self._ask({"do": "hush"}, "hushed")
        time.sleep(_TAIL)
        return [report for reports in self._ask({"do": "reports"}, "reports") for report in reports]

    def _ask(self, order: Mapping[str, Any], answer: str) -> list[Any]:
        for worker in self._workers:
            worker.write(order)
        return self._answers(answer, _ANSWER_TIMEOUT)

    def _answers(self, field: str, timeout: float) -> list[Any]:
        deadline = time.monotonic() + timeout
        return [_next(worker, field, deadline) for worker in self._workers]


def share(server: str, where: str, members: int, publishers: int, scenario: str) -> list[Task]:
    """The tasks of as many processes as that many members need, nearly equal in size."""
    processes = max(1, -(-members // MEMBERS_PER_PROCESS))
    edges = [number * members // processes for number in range(processes + 1)]
    return [
        Task(server, where, begin, end - begin, publishers, scenario, members)
        for begin, end in itertools.pairwise(edges)
    ]


def merge(
    reports: Sequence[Mapping[str, Any]], members: int, scenario: str, publishers: int
) -> dict[str, Any]:
    """One report of all workers', with `complaints`: a sentence for all that should not have been."""
    findings, troubled, delays = Findings(), Findings(), Delays()
    for report in reports:
        findings.add(Findings(**report["findings"]))
        troubled.add(Findings(**report["troubled"]))
        delays.add_all(Delays(report["delays"]))
    joins = sorted(seconds for report in reports for seconds in report["joins"])
    merged: dict[str, Any] = {
        "members": members,
        "joined": len(joins),
        "join_ms": {"p50": _rank(joins, 0.5), "p99": _rank(joins, 0.99)},
        "streams": {
            "expected": sum(report["expected_streams"] for report in reports),
            "seen": findings.streams + troubled.streams,
        },
        "sent": sum(report["sent"] for report in reports),
        **{name: count for name, count in asdict(findings).items() if name != "streams"},
        "while_joining": {
            name: sum(report["coming"][name] for report in reports) for name in ("lost", "repaired")
        },
        "strangers": sum(report["strangers"] for report in reports),
        "forward_delay_ms": {
            "count": delays.count,
            "p50": delays.percentile(0.5),
            "p99": delays.percentile(0.99),
            "max": delays.percentile(1.0),
        },
        "busiest_process": max((report["cpu"] for report in reports), default=0.0),
        "cpu_us_per_packet": max((report["cpu_us_per_packet"] for report in reports), default=0.0),
        "speakers": next((report["speakers"] for report in reports), []),
        "lowered_by_load": sum(report["lowered"] for report in reports),
    }
    chosen = SCENARIOS[scenario]
    failures = [sentence for report in reports for sentence in report["failures"]]
    if chosen.trouble is not None:
        merged["troubled"] = asdict(troubled)
        merged["handshakes"] = max((report["handshakes"] for report in reports), default=0)
        merged["layers"] = [story for report in reports for story in report["layers"]]
        failures += trouble_complaints(merged, chosen)
    merged["complaints"] = [*failures, *complaints(merged, chosen, publishers)]
    return merged


def run_load(link: str, members: int, publishers: int, scenario: str, seconds: float) -> dict[str, Any]:
    """A whole load on a Hearth meeting; its report. Raises LoadError."""
    chosen = SCENARIOS[scenario]
    with Crew(share("hearth", link, members, publishers, scenario)) as crew:
        crew.start()
        time.sleep(seconds)
        report = merge(crew.finish(), members, scenario, publishers)
    if chosen.turn_seconds is not None and seconds >= 2 * chosen.turn_seconds and publishers > 1:
        report["complaints"] += turn_complaints(report["speakers"], seconds, chosen.turn_seconds)
    return {"scenario": scenario, "publishers": publishers, "seconds": seconds, **report}


def _rank(ordered: Sequence[float], share_of: float) -> float | None:
    """Milliseconds, by nearest rank."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share_of * len(ordered)))] * 1000, 1)


def _next(worker: Child, field: str, deadline: float) -> Any:
    while time.monotonic() < deadline:
        with suppress(queue.Empty):
            event = worker.events.get(timeout=0.2)
            if isinstance(event, dict) and field in event:
                return event[field]
            continue
        if worker.exit_code is not None:
            raise LoadError(f"A process of the load has ended early. {worker.last_words()}".strip())
    raise LoadError(f"A process of the load did not answer in time. {worker.last_words()}".strip())
