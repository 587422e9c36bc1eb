"""One process of light members: told what to do by a line of JSON, reports in lines of JSON.

Lines in: first the `Task`; then `{"do": "mark"}`, `{"do": "hush"}` (send nothing more), `{"do": "report"}`.
The end of the input ends the process. Lines out: `ready`, `mark`, `hushed`, `report`.
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
from bench.loadbot.member import HearthMember, LoadError
from bench.loadbot.observer import Findings
from bench.loadbot.path import MediaPath
from bench.loadbot.scenarios import SCENARIOS
from bench.loadbot.sending import Sending
from rtc.invitation import Invitation
from rtc.transport import Certificate

#: Seconds until every stream that is expected must have come after the last member joined.
READY_TIMEOUT: Final = 30.0
_FAILURES_KEPT: Final = 20


class Member(Protocol):
    """What a worker needs of a member, whatever server it is on."""

    number: int
    failure: str
    join_seconds: float | None
    speakers: list[str | None]

    @property
    def paths(self) -> Sequence[MediaPath]: ...
    async def join(self) -> None: ...
    async def stop_sending(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker does. Members are numbered over all workers; the first `publishers` numbers send.

    `server` is `hearth` (`where` is an invitation's link) or `janus` (`where` is its WebSocket).
    """

    server: str
    where: str
    first: int
    members: int
    publishers: int
    scenario: str

    def expected(self, number: int) -> int:
        """Streams that the member should get."""
        others = self.publishers - (1 if number < self.publishers else 0)
        return others * SCENARIOS[self.scenario].streams


class Worker:
    """The members of one process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scenario = SCENARIOS[task.scenario]
        self._failures: list[str] = []
        self._ready = self._cpu = 0.0
        certificate = Certificate()
        self.members: list[Member] = []
        for number in range(task.first, task.first + task.members):
            sending = None
            if number < task.publishers:
                sending = Sending(number, self._scenario, partial(self._speaks, number))
            self.members.append(self._member(number, certificate, sending))

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

    def mark(self) -> dict[str, Any]:
        """Packets received and sent until now."""
        sent = sum(p.sending.packets for m in self.members for p in m.paths if p.sending is not None)
        return {"packets": sum(p.packets for m in self.members for p in m.paths), "sent": sent}

    def report(self) -> dict[str, Any]:
        """Everything that was found, for `crew.merge`."""
        findings, delays = Findings(), Delays()
        strangers = 0
        for member in self.members:
            for path in member.paths:
                findings.add(path.findings())
                delays.add_all(path.delays)
                strangers += path.strangers
                if path.broken:
                    self._note(f"Member {member.number} lost its path.")
            self._note(member.failure)
        return {
            "findings": asdict(findings),
            "delays": delays.to_dict(),
            "strangers": strangers,
            "expected_streams": sum(self._task.expected(member.number) for member in self.members),
            "joins": [m.join_seconds for m in self.members if m.join_seconds is not None],
            "speakers": self.members[0].speakers if self.members else [],
            "cpu": round((time.process_time() - self._cpu) / max(0.1, time.monotonic() - self._ready), 3),
            "failures": self._failures,
            **self.mark(),
        }

    async def hush(self) -> None:
        await asyncio.gather(*(member.stop_sending() for member in self.members))

    async def close(self) -> None:
        await asyncio.gather(*(member.close() for member in self.members), return_exceptions=True)

    def _member(self, number: int, certificate: Certificate, sending: Sending | None) -> Member:
        if self._task.server == "janus":
            from bench.janus.member import JanusMember

            return JanusMember(number, self._task.where, certificate, sending, self._task.publishers)
        return HearthMember(number, Invitation.parse(self._task.where), certificate, sending)

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
            sum(observer.packets > 0 for path in member.paths for observer in path.observers.values())
            >= self._task.expected(member.number)
            for member in self.members
            if member.join_seconds is not None
        )


async def serve(worker: Worker, lines: asyncio.StreamReader) -> None:
    """Runs the worker by the lines that come, until they end."""
    try:
        await worker.run()
        _say({"ready": worker.mark()})
        while line := await lines.readline():
            match json.loads(line).get("do"):
                case "mark":
                    _say({"mark": worker.mark()})
                case "hush":
                    await worker.hush()
                    _say({"hushed": True})
                case "report":
                    _say({"report": worker.report()})
    finally:
        await worker.close()


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    first = await lines.readline()
    if first:
        await serve(Worker(Task(**json.loads(first))), lines)


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
