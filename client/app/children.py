"""Processes of one's own: started together, heard line by line, and none of them left behind."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil

#: Where the packages lie; children run from here so that `-m` finds them.
ROOT = Path(__file__).resolve().parents[2]
#: Seconds for a child to end by itself after its input was closed, then again after it was terminated.
STOP_TIMEOUT = 8.0
_LINE_LIMIT = 64 * 1024
_COMPLAINTS_KEPT = 20


class Child:
    """One process. Lines of JSON that it prints are its events; its last error lines are its complaints."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.complaints: deque[str] = deque(maxlen=_COMPLAINTS_KEPT)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=None if environment is None else dict(environment),
            # Ctrl+C must reach the starter alone, which then ends its children in order.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, keep), name=f"{name}-reader", daemon=True)
            for pipe, keep in ((self._process.stdout, self._event), (self._process.stderr, self._complaint))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Its last line of error output; empty if it said nothing."""
        return self.complaints[-1] if self.complaints else ""

    def write(self, message: object) -> None:
        """Send one line of JSON to its standard input; what has ended does not hear it."""
        with suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()

    def close_input(self) -> None:
        """Ask it to end: its standard input reaches its end."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def wait(self, timeout: float) -> int | None:
        """Its exit code, or None if it still runs after `timeout` seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        return self._process.poll()

    def stop(self) -> None:
        """End it with whatever it started: ask, then terminate, then kill."""
        descendants = self._descendants()
        self.close_input()
        if self.wait(STOP_TIMEOUT) is None:
            self._process.terminate()
        if self.wait(STOP_TIMEOUT) is None:
            self._process.kill()
            self._process.wait()
        for process in descendants:
            with suppress(psutil.Error):
                process.kill()  # psutil compares start times: a pid that was used again is safe
        for reader in self._readers:
            reader.join(STOP_TIMEOUT)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []

    def _read(self, pipe: IO[bytes], keep: Any) -> None:
        with suppress(ValueError, OSError):
            while line := pipe.readline(_LINE_LIMIT):
                keep(line.decode("utf-8", "replace").strip())

    def _event(self, line: str) -> None:
        with suppress(ValueError):
            self.events.put(json.loads(line))

    def _complaint(self, line: str) -> None:
        if line:
            self.complaints.append(line[:500])


class Children:
    """A context: whatever was started in it has ended when it is left, also after an exception."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a command. It ends with us if it minds its standard input; `leashed` makes any do so."""
        child = Child(name, command, environment)
        self._children.append(child)
        return child

    def stop_all(self) -> None:
        """End them all, the youngest first; every one is asked before the first is waited for."""
        children, self._children = self._children[::-1], []
        for child in children:
            child.close_input()
        for child in children:
            child.stop()


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours in this Python."""
    return [sys.executable, "-m", name, *arguments]


def leashed(command: Sequence[str]) -> list[str]:
    """The command, made to end when its standard input does."""
    return module("client.app.leash", *command)
