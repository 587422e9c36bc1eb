"""What a test must not leave behind: threads, event loops, child processes, Qt timers."""

from __future__ import annotations

import asyncio
import glob
import os
import sys
import threading
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

#: Seconds that something on its way out gets before it counts as left behind.
GRACE = 3.0

#: Helpers that Python itself keeps for the whole run, by a word of their command line.
LASTING_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

_loops: weakref.WeakSet[asyncio.BaseEventLoop] = weakref.WeakSet()


def watch_event_loops() -> None:
    """From now on remember every asyncio loop that is made, so that an unclosed one can be named."""
    original = asyncio.BaseEventLoop.__init__

    def remember(self: asyncio.BaseEventLoop, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        _loops.add(self)

    mock.patch.object(asyncio.BaseEventLoop, "__init__", remember).start()


def _threads() -> set[threading.Thread]:
    # Threads that Qt started show up as dummies and are never forgotten by Python 3.11: not ours to join.
    return {thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    return "" if state == "Z" else " ".join(word.decode(errors="replace") for word in words).strip()


def _children() -> dict[int, str]:
    """Living child processes of ours by pid, with their command lines. Linux; elsewhere empty."""
    pids: set[int] = set()
    for path in glob.glob(f"/proc/{os.getpid()}/task/*/children"):
        try:
            pids.update(int(word) for word in Path(path).read_text().split())
        except OSError:
            continue
    commands = {pid: _command(pid) for pid in pids}
    return {
        pid: command
        for pid, command in commands.items()
        if command and not any(word in command for word in LASTING_PROCESSES)
    }


def _qt_timers() -> dict[int, str]:
    """Active QTimers by identity, with a word about each. Empty where Qt is not loaded."""
    core = sys.modules.get("PySide6.QtCore")
    shiboken = sys.modules.get("shiboken6") or sys.modules.get("shiboken6.Shiboken")
    if core is None or shiboken is None or core.QCoreApplication.instance() is None:
        return {}
    valid = getattr(shiboken, "getAllValidWrappers", None) or shiboken.Shiboken.getAllValidWrappers
    timers: dict[int, str] = {}
    for wrapper in valid():
        if isinstance(wrapper, core.QTimer) and wrapper.isActive():
            owner = type(wrapper.parent()).__name__ if wrapper.parent() is not None else "nobody"
            timers[id(wrapper)] = f"every {wrapper.interval()} ms, owned by {owner}"
    return timers


@dataclass(slots=True)
class Belongings:
    """What the test process holds at one moment."""

    threads: set[threading.Thread] = field(default_factory=set)
    loops: set[asyncio.BaseEventLoop] = field(default_factory=set)
    children: dict[int, str] = field(default_factory=dict)
    timers: dict[int, str] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Belongings:
        """Take stock."""
        loops = {loop for loop in _loops if not loop.is_closed()}
        return cls(_threads(), loops, _children(), _qt_timers())

    def merge(self, other: Belongings) -> None:
        """Count everything in `other` as known from now on."""
        self.threads |= other.threads
        self.loops |= other.loops
        self.children.update(other.children)
        self.timers.update(other.timers)

    def new_since(self, known: Belongings) -> Belongings:
        """What is here and was not there."""
        return Belongings(
            {thread for thread in self.threads - known.threads if thread.is_alive()},
            self.loops - known.loops,
            {pid: command for pid, command in self.children.items() if pid not in known.children},
            {key: words for key, words in self.timers.items() if key not in known.timers},
        )

    def sentences(self) -> list[str]:
        """One sentence for each thing, empty when there is nothing."""
        return [
            *(f"a thread still runs: {thread.name}; stop and join it" for thread in self.threads),
            *(f"an event loop was not closed: {loop!r}" for loop in self.loops),
            *(f"a child process still runs: {pid} {text}" for pid, text in self.children.items()),
            *(f"a Qt timer is still active: {text}; stop it" for text in self.timers.values()),
        ]


def left_behind(known: Belongings, grace: float | None = None) -> list[str]:
    """Sentences about what is new since `known`, after waiting up to `grace` real seconds for it to go."""
    deadline = time.monotonic() + (GRACE if grace is None else grace)
    while True:
        sentences = Belongings.now().new_since(known).sentences()
        if not sentences or time.monotonic() >= deadline:
            return sentences
        time.sleep(0.02)
