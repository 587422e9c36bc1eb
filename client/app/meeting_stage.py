"""A meeting with simulated members on this machine: server, room and member processes, all metered."""

from __future__ import annotations

import asyncio
import json
import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from client.app.children import Child, Children, module
from client.app.demo_report import Person, parse_metrics
from client.app.process_meter import ProcessMeter
from client.services.embedded import EmbeddedServer
from client.services.meetings import open_room

#: Seconds for a member process to start and to get in; a cold disk needs the most of it.
JOIN_TIMEOUT = 60.0
#: The name of the server among the metered processes.
SERVER = "server"


class StageError(RuntimeError):
    """The meeting could not be set up; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a simulated member sends: sources as `client.app.source_text` reads them."""

    person: Person
    video: str
    sound: str
    size: str = "640x360"


class Stage:
    """Use as a context: when it is left, the server and every child have ended."""

    def __init__(self, folder: Path) -> None:
        self.children = Children()
        self.meter = ProcessMeter()
        self.members: dict[str, Child] = {}
        self.screen: Child | None = None
        self.link = ""
        self._folder = folder
        self._server = EmbeddedServer()
        self._url = ""

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.children.stop_all()
        finally:
            self._server.stop()

    def open(self, title: str) -> None:
        """Start the server and open a room; raises ServerError or MeetingError, whose texts are sentences."""
        announcement = self._server.start()
        self.meter.add(SERVER, announcement.pid)
        self._url = announcement.url
        self.link = asyncio.run(open_room(announcement, title))

    def enter(self, parts: Sequence[Part]) -> None:
        """Start one process a part and wait until all are in the meeting; raises StageError."""
        for part in parts:
            name = part.person.name
            command = module("client.app.member", "--join", self.link, "--name", name, "--leash")
            command += ["--video", part.video, "--sound", part.sound, "--size", part.size]
            command += ["--report", str(self._report_file(name))]
            self.members[name] = child = self.children.start(name, command)
            self.meter.add(name, child.pid)
        deadline = time.monotonic() + JOIN_TIMEOUT
        for part in parts:
            _wait_until_in(self.members[part.person.name], deadline)

    def server_metrics(self) -> dict[str, float]:
        """The server's counters as they are now; empty if it does not answer."""
        try:
            answer = httpx.get(f"{self._url}/metrics", timeout=5.0, trust_env=False)
            return parse_metrics(answer.text) if answer.status_code == 200 else {}
        except httpx.HTTPError:
            return {}

    def trouble(self) -> str:
        """A sentence if the server or a member has ended though it should not; empty if all are there."""
        if not self._server.alive:
            return "The server ended in the middle of the meeting."
        if self.screen is not None and self.screen.exit_code is not None:
            return "The screen that was made for the window has ended."
        for name, child in self.members.items():
            if child.exit_code is not None:
                return f"{name} left in the middle of the meeting. {child.last_words()}".strip()
        return ""

    def dismiss(self) -> dict[str, dict[str, Any]]:
        """Let all members leave; their own reports by name."""
        for child in self.members.values():
            child.close_input()
        reports = {}
        for name, child in self.members.items():
            child.wait(10.0)
            try:
                reports[name] = json.loads(self._report_file(name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # the one who misses the report says so in a sentence
        return reports

    def _report_file(self, name: str) -> Path:
        return self._folder / f"member-{name}.json"


def _wait_until_in(child: Child, deadline: float) -> None:
    while True:
        try:
            event = child.events.get(timeout=0.2)
        except queue.Empty:
            event = None
        if isinstance(event, dict) and event.get("event") == "in-call":
            return
        if child.exit_code is not None:
            raise StageError(f"{child.name} did not get into the meeting. {child.last_words()}".strip())
        if time.monotonic() > deadline:
            raise StageError(
                f"{child.name} did not get into the meeting within {JOIN_TIMEOUT:.0f} seconds. "
                "Close programs that keep the computer busy and try again."
            )
