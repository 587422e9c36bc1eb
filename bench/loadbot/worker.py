"""One process of light members: told what to do by a line of JSON, reports in lines of JSON.

Lines in: first the `Task`; then `{"do": "begin", "at": seconds}` (everybody is there; troubles count from
`at` of the monotonic clock), `{"do": "add", "task": Task}` (more members, of this room or another), `{"do":
"mark"}`, `{"do": "hush"}` (send nothing more), `{"do": "reports"}`. The end of the input ends the process.
Lines out: `ready` (after the first task and each other one), `begun`, `mark`, `hushed`, `reports` (one of
each task).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, Protocol

from bench.loadbot.delays import Delays
from bench.loadbot.findings import Findings
from bench.loadbot.member import HearthMember, LoadError
from bench.loadbot.path import MediaPath
from bench.loadbot.plane import Plane
from bench.loadbot.scenarios import SCENARIOS, Trouble
from bench.loadbot.sending import Sending
from rtc import collector
from rtc.invitation import Invitation
from rtc.transport import Certificate

#: Seconds until every stream that is expected must have come after the last member joined.
READY_TIMEOUT: Final = 30.0
_FAILURES_KEPT: Final = 20
#: What is told of the time in which members come in.
_COMING: Final = ("lost", "repaired")
#: In a process of more members than this only every tenth reads its socket at once and counts delays.
_PROMPT_MEMBERS: Final = 12


class Member(Protocol):
    """What a worker needs of a member, whatever server it is on."""

    number: int
    failure: str
    join_seconds: float | None
    speakers: list[str | None]
    lowered: int

    @property
    def paths(self) -> Sequence[MediaPath]: ...
    async def join(self) -> None: ...
    def begin(self) -> None: ...
    async def stop_sending(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker does. Members are numbered over all workers; the first `publishers` numbers send.

    `server` is `hearth` (`where` is an invitation's link) or `janus` (`where` is its WebSocket). `total`
    are the members of all workers; the last of them is the one who has trouble.
    """

    server: str
    where: str
    first: int
    members: int
    publishers: int
    scenario: str
    total: int

    def expected(self, number: int) -> int:
        """Streams that the member should get."""
        return SCENARIOS[self.scenario].expected(number, self.publishers)


class Worker:
    """The members of one task."""

    def __init__(self, task: Task, plane: Plane, certificate: Certificate, *, others: int = 0) -> None:
        """`others` are members of other tasks in the same process."""
        self._task, self._crowded = task, task.members + others > _PROMPT_MEMBERS
        self._scenario = SCENARIOS[task.scenario]
        self._failures: list[str] = []
        self._ready = self._cpu = 0.0
        self._packets = 0
        self._at = time.monotonic()
        self._plane, self._certificate = plane, certificate
        self.members: list[Member] = [
            self._member(number) for number in range(task.first, task.first + task.members)
        ]

    async def run(self) -> None:
        """Lets everybody in and waits until the streams flow."""
        coming = []
        gap = 1.0 / self._scenario.joins_per_second if self._scenario.joins_per_second else 0.0
        for member in self.members:
            coming.append(asyncio.create_task(self._join(member)))
            if gap:
                await asyncio.sleep(gap)
        await asyncio.gather(*coming)
        deadline = time.monotonic() + READY_TIMEOUT
        while not self._flowing() and time.monotonic() < deadline:  # noqa: ASYNC110 - packets set no event
            await asyncio.sleep(0.1)
        self._ready, self._cpu = time.monotonic(), time.process_time()
        self._packets = self.mark()["packets"]

    def begin(self, at: float) -> None:
        """Everybody is there; what befalls the last member counts from `at`."""
        self._at = at
        for member in self.members:
            member.begin()
            for path in member.paths:
                path.begin()
            trouble = self._trouble(member.number)
            if trouble is not None:
                for path in member.paths:
                    self._plane.call_at(at + trouble.begin, partial(_set_trouble, path, trouble))
                    self._plane.call_at(at + trouble.end, partial(_set_trouble, path, None))

    def mark(self) -> dict[str, Any]:
        """Packets received and sent until now."""
        sent = sum(p.sending.packets for m in self.members for p in m.paths if p.sending is not None)
        return {"packets": sum(p.packets for m in self.members for p in m.paths), "sent": sent}

    def report(self) -> dict[str, Any]:
        """Everything that was found, for `crew.merge`."""
        findings, troubled, delays = Findings(), Findings(), Delays()
        strangers = 0
        for member in self.members:
            healthy = self._trouble(member.number) is None
            for path in member.paths:
                (findings if healthy else troubled).add(path.findings())
                if healthy:
                    delays.add_all(path.delays)
                strangers += path.strangers
                if path.broken:
                    self._note(f"Member {member.number} lost its path.")
            self._note(member.failure)
        marks = self.mark()
        cpu = time.process_time() - self._cpu
        received = max(1, marks["packets"] - self._packets)
        return {
            "findings": asdict(findings),
            "troubled": asdict(troubled),
            "delays": delays.to_dict(),
            "coming": {
                name: sum(getattr(p.coming, name) for m in self.members for p in m.paths) for name in _COMING
            },
            "strangers": strangers,
            "expected_streams": sum(self._task.expected(member.number) for member in self.members),
            "joins": [m.join_seconds for m in self.members if m.join_seconds is not None],
            "speakers": self.members[0].speakers if self.members else [],
            "lowered": sum(member.lowered for member in self.members),
            "layers": [story for member in self.members for story in self._stories(member)],
            "handshakes": max((path.handshakes for m in self.members for path in m.paths), default=0),
            "cpu": round(cpu / max(0.1, time.monotonic() - self._ready), 3),
            "cpu_us_per_packet": round(cpu / received * 1e6, 2),
            "failures": self._failures,
            **marks,
        }

    async def hush(self) -> None:
        for path in (path for member in self.members for path in member.paths):
            path.ended(time.monotonic())
        await asyncio.gather(*(member.stop_sending() for member in self.members))

    async def close(self) -> None:
        await asyncio.gather(*(member.close() for member in self.members), return_exceptions=True)

    def _member(self, number: int) -> Member:
        task = self._task
        sending = None
        if number < task.publishers:
            sending = Sending(number, self._scenario, partial(self._speaks, number))
        if task.server == "janus":
            from bench.janus.member import JanusMember

            return JanusMember(number, task.where, self._plane, self._certificate, sending, task.publishers)
        prompt = not self._crowded or number % 10 == 0
        trouble = self._trouble(number)
        path = MediaPath(self._plane, self._certificate, sending, trouble=trouble, prompt=prompt)
        return HearthMember(number, Invitation.parse(task.where), path, self._scenario, task.publishers)

    def _trouble(self, number: int) -> Trouble | None:
        return self._scenario.trouble if number == self._task.total - 1 else None

    def _stories(self, member: Member) -> list[dict[str, Any]]:
        """Which layers came when, in seconds from the beginning, of the streams of one member."""
        if self._scenario.trouble is None:
            return []
        troubled = self._trouble(member.number) is not None
        return [
            {
                "troubled": troubled,
                "senders": sorted(observer.senders or ()),
                "changes": [(round(when - self._at, 3), layer) for when, layer in observer.checks.changes],
            }
            for path in member.paths
            for observer in path.observers.values()
            if observer.kind == "video"
        ]

    def _speaks(self, number: int, now: float) -> bool:
        return self._scenario.speaker(now, self._task.publishers) == number

    async def _join(self, member: Member) -> None:
        try:
            await member.join()
        except LoadError as error:
            self._note(str(error))

    def _note(self, sentence: str) -> None:
        if sentence and sentence not in self._failures and len(self._failures) < _FAILURES_KEPT:
            self._failures.append(sentence)

    def _flowing(self) -> bool:
        return all(
            sum(o.packets > 0 for path in member.paths for o in path.observers.values())
            >= self._task.expected(member.number)
            for member in self.members
            if member.join_seconds is not None
        )


def _set_trouble(path: MediaPath, trouble: Trouble | None, now: float) -> None:
    path.trouble(trouble)


class Crowd:
    """All members of this process."""

    def __init__(self) -> None:
        self._plane = Plane()
        self._certificate = Certificate()
        self._workers: list[Worker] = []

    async def serve(self, first: Task, lines: asyncio.StreamReader) -> None:
        """Does what the lines say until they end."""
        running = asyncio.create_task(self._plane.run())
        try:
            await self._add(first)
            while line := await lines.readline():
                await self._do(json.loads(line))
        finally:
            await asyncio.gather(*(worker.close() for worker in self._workers), return_exceptions=True)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._plane.close()

    async def _add(self, task: Task) -> None:
        others = sum(len(worker.members) for worker in self._workers)
        worker = Worker(task, self._plane, self._certificate, others=others)
        self._workers.append(worker)
        await worker.run()
        collector.settle()
        _say({"ready": True})

    async def _do(self, order: dict[str, Any]) -> None:
        match order.get("do"):
            case "add":
                await self._add(Task(**order["task"]))
            case "begin":
                for worker in self._workers:
                    worker.begin(order["at"])
                _say({"begun": True})
            case "mark":
                marks = [worker.mark() for worker in self._workers]
                sums = {key: sum(mark[key] for mark in marks) for key in ("packets", "sent")}
                _say({"mark": {**sums, "cpu": time.process_time()}})
            case "hush":
                await asyncio.gather(*(worker.hush() for worker in self._workers))
                _say({"hushed": True})
            case "reports":
                _say({"reports": [worker.report() for worker in self._workers]})


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    first = await lines.readline()
    if first:
        await Crowd().serve(Task(**json.loads(first)), lines)


def main() -> int:
    """Runs on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
