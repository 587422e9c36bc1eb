"""A meeting of two that goes on while strangers misbehave: `python -m tests.support.bystanders LINK`.

Ann sends 50 packets of sound a second, each with who sent it, its number and when; Ben looks at each. A line
on standard output tells what came since the start and the longest silence since the line before; a line on
standard input asks for one, its end ends it.
"""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType

from rtc.rtp import RtpPacket
from tests.support.server_process import ROOT
from tests.support.wire_member import SILENT_OPUS, WireMember

PACKET_S = 0.02
#: In each packet behind the sound: a mark of Ann's, the packet's number, seconds of the monotonic clock.
_STAMP = struct.Struct("!8sId")
_ANN = b"Ann \x07\x01\x0b\xad"


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """Packets since the start, the longest silence (s) since the question before, members seen; packets that
    left a hole in the numbers, came twice or out of order, or were not Ann's; the slowest of them in ms."""

    sent: int
    received: int
    longest_gap: float
    members: int
    lost: int
    disordered: int
    foreign: int
    slowest_ms: float


class Bystanders:
    """Context manager: the meeting in its own process, so that a busy test does not disturb it."""

    def __init__(self, link: str) -> None:
        self.link = link
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Bystanders:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.bystanders", self.link],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            self.ask()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the meeting by closing its input."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()

    def ask(self) -> Wellbeing:
        """How the meeting fares; the longest silence counts from the last question."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"how\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the meeting of the bystanders broke down"
        return Wellbeing(**json.loads(line))


class _Ann(WireMember):
    """Stamps what she says."""

    number = 0

    def sound(self) -> bytes:
        self.number += 1
        return SILENT_OPUS + _STAMP.pack(_ANN, self.number, time.monotonic())


class _Ben(WireMember):
    """Looks at each packet that comes."""

    last = 0  # number of the newest packet
    lost = disordered = foreign = 0
    slowest = 0.0  # seconds

    def _arrived(self, data: bytes, now: float) -> None:
        super()._arrived(data, now)
        payload = RtpPacket.parse(data).payload
        if len(payload) != len(SILENT_OPUS) + _STAMP.size:
            self.foreign += 1
            return
        mark, number, sent = _STAMP.unpack_from(payload, len(SILENT_OPUS))
        if mark != _ANN:
            self.foreign += 1
            return
        if self.last and number <= self.last:
            self.disordered += 1
            return
        self.lost += number - self.last - 1 if self.last else 0
        self.last = number
        self.slowest = max(self.slowest, time.monotonic() - sent)


async def main(link: str) -> None:
    async with _Ann(link, "Ann") as ann, _Ben(link, "Ben") as ben:
        producer = (await ann.send_and_receive([]))["producers"]["0"]
        await ben.send_and_receive([producer])
        meeting = _Meeting(ann, ben)
        speaking = asyncio.create_task(meeting.speak())
        try:
            await meeting.answer()
        finally:
            speaking.cancel()


class _Meeting:
    def __init__(self, ann: _Ann, ben: _Ben) -> None:
        self.ann, self.ben = ann, ben
        self.sent, self.received, self.gap = 0, 0, 0.0
        self._last = time.monotonic()

    async def speak(self) -> None:
        due = time.monotonic()
        while True:
            self.ann.speak()
            self.sent += 1
            due = max(due + PACKET_S, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._count()

    def _count(self) -> None:
        received, now = sum(self.ben.rtp_received.values()), time.monotonic()
        if received > self.received:
            self.received, self._last = received, now
        self.gap = max(self.gap, now - self._last)

    async def answer(self) -> None:
        loop = asyncio.get_running_loop()
        questions = asyncio.StreamReader()
        pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
        while await questions.readline():
            if self.received == 0:
                await asyncio.sleep(0.5)
            gone = sum(m["type"] == "session.left" for m in self.ben.heard)
            answer = {
                "sent": self.sent,
                "received": self.received,
                "longest_gap": self.gap,
                "members": len(self.ben.welcome["members"]) - gone,
                "lost": self.ben.lost,
                "disordered": self.ben.disordered,
                "foreign": self.ben.foreign,
                "slowest_ms": self.ben.slowest * 1000,
            }
            self.gap = self.ben.slowest = 0.0
            print(json.dumps(answer), flush=True)
        pipe.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
