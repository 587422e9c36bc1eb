"""The real server as a process of its own, as people start it."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
#: Seconds. Guards against hangs only; a loaded machine takes several to import the server.
READY_WITHIN = 40.0
STOP_WITHIN = 5.0

T = TypeVar("T")


def wait_for(what: str, ask: Callable[[], T | None], within: float = 20.0, every: float = 0.05) -> T:
    """The first true answer of `ask`; AssertionError naming `what` after `within` real seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {within:.0f} s; the last answer was {answer!r}")
        time.sleep(every)


@dataclass(frozen=True, slots=True)
class Meeting:
    """One room of the server under test."""

    room: str
    token: str
    title: str
    link: str
    code: str


class ServerProcess:
    """Context manager around `python -m server_lite --announce`.

    `host` is where it is reached; `prefix` is put before the command (for instance `ip netns exec NAME`),
    `arguments` after it.
    """

    def __init__(
        self,
        *arguments: str,
        port: int = 0,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.arguments, self.prefix = arguments, tuple(prefix)
        self.port, self.host = port, host
        self.udp_port = 0
        self.pid = 0
        self.url = ""
        self.environment = dict(os.environ) | dict(environment or {})
        self._owner_key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"the server said:\n{self.log()[-4000:]}")
        self.stop()
        self._log.close()

    def start(self) -> None:
        """Start it and wait for its announcement; the port stays the same over restarts."""
        command = [*self.prefix, sys.executable, "-m", "server_lite", "--announce", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env=self.environment,
        )
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], READY_WITHIN)[0]:
            self.kill()
            raise AssertionError(f"no announcement within {READY_WITHIN:.0f} s: {self.log()}")
        line = self._process.stdout.readline()
        if not line:
            self.kill()
            raise AssertionError(f"the server ended before it was ready: {self.log()}")
        said = json.loads(line)
        self.url, self.port, self.udp_port = said["url"], said["port"], said["udp_port"]
        self.pid, self._owner_key = said["pid"], said["owner_key"]

    def stop(self) -> None:
        """Close its input, as a parent that ends would, and wait."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_WITHIN)
        self._forget()

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        if self._process is None:
            return
        if self.pid and self.pid != self._process.pid:
            psutil.Process(self.pid).kill()
        self._process.kill()
        self._process.wait(STOP_WITHIN)
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def open_meeting(self, title: str = "Test meeting") -> Meeting:
        status, answer = self.request("/api/rooms", {"title": title}, self._owner_key)
        assert status == 201, (status, answer)
        return Meeting(**{key: answer[key] for key in ("room", "token", "title", "link", "code")})

    def request(
        self, path: str, body: object = None, key: str | None = None, base: str | None = None
    ) -> tuple[int, Any]:
        """One HTTP request; the status and the JSON answer (or its text)."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            (base or f"http://{self.host}:{self.port}") + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by name with labels, and the sum over labels by bare name."""
        _, text = self.request("/metrics")
        return parse_metrics(str(text))


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text to numbers: `name{labels}` each, and `name` summed over its labels."""
    samples: dict[str, float] = {}
    for line in text.splitlines():
        found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(\{.*\})?\s+(\S+)(\s+\d+)?", line.strip())
        if found is None or line.startswith("#"):
            continue
        name, labels, value = found[1], found[2], float(found[3])
        if labels:
            samples[name + labels] = value
        samples[name] = samples.get(name, 0.0) + value
    return samples
