"""Drives one desktop client in a process of its own (see probe.py)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any, Literal

from tests.support.server_process import ROOT, wait_for

ANSWER_WITHIN = 40.0  # seconds; guards against hangs only, the first answer comes after all imports
STOP_WITHIN = 12.0


class Desktop:
    """Context manager. `studio` is where capture and encoding run, as in the program."""

    def __init__(
        self,
        name: str,
        identity: int,
        frequency: float,
        studio: Literal["process", "thread"] = "thread",
        prefix: Sequence[str] = (),
    ) -> None:
        self.name, self.identity, self.frequency = name, identity, frequency
        self._command = [
            *prefix,
            sys.executable,
            "-m",
            "tests.e2e.probe",
            str(identity),
            str(frequency),
            studio,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Desktop:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            bufsize=0,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"{self.name} said: {self.log()[-3000:]}")
        self.stop()
        if self._log is not None:
            self._log.close()

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Gives a command; returns the report that follows it."""
        process = self._process
        assert process is not None, f"{self.name} does not run"
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what} | arguments).encode() + b"\n")
        if not select.select([process.stdout], [], [], ANSWER_WITHIN)[0]:
            raise AssertionError(f"{self.name} does not answer: {self.log()[-3000:]}")
        line = process.stdout.readline()
        assert line, f"{self.name} has ended: {self.log()[-3000:]}"
        report: dict[str, Any] = json.loads(line)
        return report

    def report(self) -> dict[str, Any]:
        return self.do("report")

    def start_joining(self, link: str) -> None:
        self.do("join", link=link, name=self.name)

    def join(self, link: str, within: float = 40.0) -> None:
        self.start_joining(link)
        self.wait_in_call(within)

    def wait_in_call(self, within: float = 40.0) -> None:
        wait_for(f"{self.name} is in the call", lambda: self.report()["phase"] == "in-call", within)

    def member(self, name: str) -> dict[str, Any]:
        """What is known of the member `name`; empty when there is none."""
        return next((m | {"id": i} for i, m in self.report()["members"].items() if m["name"] == name), {})

    def names(self) -> list[str]:
        return sorted(member["name"] for member in self.report()["members"].values())

    def frames(self, name: str) -> int:
        return int(self.member(name).get("frames", 0))

    def marks(self, name: str) -> Counter[int]:
        """Identities ever read in the tile of the present member `name`."""
        return Counter({int(key): count for key, count in self.member(name).get("marks", {}).items()})

    def tone(self, name: str) -> tuple[float, float]:
        """Frequency (Hz) and level (dBFS) of what is played of `name`."""
        frequency, level = self.member(name).get("tone", (0.0, -200.0))
        return frequency, level

    def log(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def kill(self) -> None:
        """End it and what it started at once, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._reap()

    def stop(self) -> None:
        """End it as its user would."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(STOP_WITHIN)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None
