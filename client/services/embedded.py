"""The server inside the program: its own process, started on demand, gone with its parent."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtc.secret import Secret

#: How long the server may take until it announces itself, in seconds: about 1 s, 30 s on a machine with
#: fifteen times more to do than it can. Lower fails there; higher keeps a person, who can cancel, waiting.
READY_TIMEOUT = 60.0
#: How long it may take to end after its input was closed, before it is terminated, in seconds.
STOP_TIMEOUT = 3.0
#: How long to wait before a server that died is started again, in seconds; after the last try it stays down.
#: Sooner shortens the gap in a meeting, later spares a machine on which it dies at once each time.
RESTART_AFTER = (0.1, 1.0, 3.0, 10.0)
#: The longest announcement that is read, in bytes.
LINE_LIMIT = 4096

_ROOT = Path(__file__).resolve().parents[2]


class ServerError(RuntimeError):
    """The bundled server could not do what was asked; str() is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the server says when it is ready. The owner key lets one open rooms."""

    url: str
    port: int
    udp_port: int
    owner_key: Secret
    pid: int


class EmbeddedServer:
    """Starts and stops `python -m server_lite`. Methods block: call them from a worker thread.

    A server that dies is started again on the same ports and remembers its meetings, so that everybody in
    them comes back by themselves.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        arguments: Sequence[str] = (),
        ready_timeout: float = READY_TIMEOUT,
    ) -> None:
        base = command or (sys.executable, "-m", "server_lite", "--announce", "--port", "0")
        self._command = [*base, *arguments]
        self._ready_timeout = ready_timeout
        self._turn = threading.Lock()  # one start or stop at a time
        self._lock = threading.Lock()  # over the process, which the watcher replaces too
        self._process: subprocess.Popen[bytes] | None = None
        self._announcement: Announcement | None = None
        self._complaints: deque[str] = deque(maxlen=20)
        self._reader: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._unwanted = threading.Event()  # set while nobody wants the server
        self._memory: Path | None = None  # a private folder with what survives a restart

    @property
    def alive(self) -> bool:
        """Whether the process runs and has announced itself."""
        return self._announcement is not None and self._process is not None and self._process.poll() is None

    @property
    def complaints(self) -> list[str]:
        """The last lines of the server's error output: details for a person who asks for them."""
        return list(self._complaints)

    def start(self) -> Announcement:
        """The announcement of the running server, which is started if there is none; raises ServerError."""
        with self._turn:
            with self._lock:
                if self.alive and self._announcement is not None:
                    return self._announcement
            self._stop_watching()
            with self._lock:
                self._end()
                self._unwanted.clear()
                self._memory = self._memory or Path(tempfile.mkdtemp(prefix="hearth-server-"))
                announcement = self._run(())
            self._watcher = threading.Thread(target=self._watch, name="server-watch", daemon=True)
            self._watcher.start()
            return announcement

    def stop(self) -> None:
        """End the server: close its input, then terminate, then kill. Harmless when it does not run.

        A `start` that still waits in another thread ends at once with a ServerError.
        """
        self._unwanted.set()
        starting = self._process
        if starting is not None and self._announcement is None:
            with suppress(OSError):
                starting.kill()
        with self._turn:
            with self._lock:
                self._end()
            self._stop_watching()
            if self._memory is not None:
                shutil.rmtree(self._memory, ignore_errors=True)
                self._memory = None

    def _run(self, ports: Sequence[str]) -> Announcement:
        """Starts one process and waits for its announcement; raises ServerError. The lock is held."""
        memory = () if self._memory is None else ("--state", str(self._memory / "meetings.json"))
        self._process = process = self._spawn([*self._command, *memory, *ports])
        self._reader = threading.Thread(
            target=self._read_complaints, args=(process,), name="server-complaints", daemon=True
        )
        self._reader.start()
        try:
            self._announcement = self._wait_for_announcement(process)
        except ServerError:
            self._end()
            raise
        return self._announcement

    def _watch(self) -> None:
        """Starts the server again when it ends without having been asked to."""
        for pause in RESTART_AFTER:
            process, announced = self._process, self._announcement
            if process is None or announced is None:
                return
            process.wait()
            if self._unwanted.wait(pause):
                return
            with self._lock:
                if self._unwanted.is_set() or self._process is not process:
                    return
                self._end()
                ports = ("--port", str(announced.port), "--udp-port", str(announced.udp_port))
                try:
                    self._run(ports)
                except ServerError as error:
                    self._complaints.append(str(error))
                    return

    def _stop_watching(self) -> None:
        """Ends the watcher of a process that has ended. The lock is free: the watcher may want it."""
        self._unwanted.set()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.join(STOP_TIMEOUT)

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=_ROOT,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise ServerError(
                f"Your computer could not start the meeting server ({error.strerror or error}). "
                "Install Hearth again, or join a meeting of somebody else."
            ) from error

    def _wait_for_announcement(self, process: subprocess.Popen[bytes]) -> Announcement:
        lines: list[bytes] = []

        def read() -> None:
            if process.stdout is not None:
                lines.append(process.stdout.readline(LINE_LIMIT))

        reader = threading.Thread(target=read, name="server-announcement", daemon=True)
        reader.start()
        reader.join(self._ready_timeout)
        if reader.is_alive():
            process.kill()
            reader.join(STOP_TIMEOUT)
            raise ServerError(
                f"The meeting server did not start within {self._ready_timeout:.0f} seconds. "
                "Close programs that keep the computer busy and try again."
            )
        return self._parse(lines[0] if lines else b"")

    def _parse(self, line: bytes) -> Announcement:
        try:
            said: dict[str, Any] = json.loads(line)
            return Announcement(
                url=str(said["url"]),
                port=int(said["port"]),
                udp_port=int(said.get("udp_port", 0)),
                owner_key=Secret(str(said["owner_key"])),
                pid=int(said["pid"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if self._reader is not None and not line:
                self._reader.join(1.0)  # it ended: its last words say why
            why = f" It said: {self._complaints[-1]}" if self._complaints else ""
            raise ServerError(f"The meeting server ended before it was ready. Try again.{why}") from error

    def _read_complaints(self, process: subprocess.Popen[bytes]) -> None:
        # Read to the end: a pipe that is full would stop the server.
        if process.stderr is not None:
            with suppress(ValueError, OSError):
                for line in iter(lambda: process.stderr.readline(LINE_LIMIT), b""):  # type: ignore[union-attr]
                    text = line.decode("utf-8", "replace").strip()
                    if text:
                        self._complaints.append(text[:300])

    def _end(self) -> None:
        process, self._process, self._announcement = self._process, None, None
        if process is None:
            return
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        for step in (None, process.terminate, process.kill):
            if step is not None:
                step()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT)
                break
        if self._reader is not None:
            self._reader.join(STOP_TIMEOUT)
            self._reader = None
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
