"""Where a studio runs: in a process that is watched, or in threads."""

from __future__ import annotations

import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from multiprocessing import spawn
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from client.studio.backoff import Backoff
from client.studio.core import StudioCore
from client.studio.messages import Command, SelfView, Stop, StudioEvent, StudioRestarted
from client.studio.picture_ring import PictureRing
from client.studio.process import SelfViewReady
from client.studio.process import main as process_main

log = logging.getLogger(__name__)

PROCESS_NAME = "hearth-studio"
Received = Callable[[StudioEvent], None]


class Host(Protocol):
    """What `Studio` asks of the place the studio runs in."""

    @property
    def alive(self) -> bool: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def send(self, command: Command) -> None: ...
    def stop(self) -> None: ...


class ThreadHost:
    """The studio in this process; one thread takes the commands in order."""

    pid: int | None = None

    def __init__(self, received: Received, wanted: Callable[[], list[Command]]) -> None:
        self._received = received
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="studio", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def send(self, command: Command) -> None:
        self._queue.put(command)

    def stop(self) -> None:
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    def _run(self) -> None:
        core = StudioCore(self._received, lambda picture: self._received(SelfView(picture)))
        try:
            while not isinstance(command := self._queue.get(), Stop):
                core.handle(command)
        finally:
            core.close()


class ProcessHost:
    """The studio in a process of its own; one thread reads its events and starts it again if it dies."""

    def __init__(self, received: Received, wanted: Callable[[], list[Command]]) -> None:
        self._received = received
        self._wanted = wanted
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process: BaseProcess | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="studio events", daemon=True)

    @property
    def alive(self) -> bool:
        process = self._process
        return process is not None and process.is_alive()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def start(self) -> None:
        self._thread.start()

    def send(self, command: Command) -> None:
        with self._lock:
            if isinstance(command, Stop):
                self._stopping.set()
            if self._connection is None:
                return  # the next process is told what is wanted when it starts
            try:
                self._connection.send(command)
            except OSError:
                log.info("the studio is gone; a command waits for the next one")

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        self._thread.join(1.7)
        process = self._process
        if self._thread.is_alive() and process is not None:
            process.kill()  # it does not even answer any more
            self._thread.join(0.3)

    def _run(self) -> None:
        backoff = Backoff()
        first = True
        while not self._stopping.is_set():
            started = time.monotonic()
            ring = PictureRing.create()
            try:
                connection, process = self._launch(ring)
                if not first:
                    self._received(StudioRestarted())
                first = False
                self._read(connection, ring)
                self._bury(connection, process)
            finally:
                ring.close()
            if not self._stopping.is_set():
                delay = backoff.after(time.monotonic() - started)
                log.warning("the studio process ended; starting it again in %.1f s", delay)
                self._stopping.wait(delay)

    def _launch(self, ring: PictureRing) -> tuple[Connection, BaseProcess]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=process_main, args=(theirs, ring.name), name=PROCESS_NAME, daemon=True
        )
        _leave_out_main()
        with self._lock:
            process.start()
            theirs.close()
            for command in self._wanted():
                ours.send(command)
            if self._stopping.is_set():
                ours.send(Stop())
            self._connection, self._process = ours, process
        return ours, process

    def _read(self, connection: Connection, ring: PictureRing) -> None:
        while True:
            try:
                event = connection.recv()
            except (EOFError, OSError):
                return
            if isinstance(event, SelfViewReady):
                picture = ring.read()
                if picture is None:
                    continue
                event = SelfView(picture)
            self._received(event)

    def _bury(self, connection: Connection, process: BaseProcess) -> None:
        with self._lock:
            self._connection = None
        connection.close()
        process.join(1.0)
        if process.is_alive():
            process.kill()
            process.join(0.5)
        self._process = None
        if process.exitcode is not None:
            process.close()


def _leave_out_main() -> None:
    """Keep multiprocessing from importing the program's main module (Qt and all) in the studio process.

    The studio needs nothing of it, and it would cost half a second and tens of megabytes at each start.
    """
    if getattr(spawn.get_preparation_data, "leaves_out_main", False):
        return
    original = spawn.get_preparation_data

    def preparation(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        if name == PROCESS_NAME:
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    preparation.leaves_out_main = True  # type: ignore[attr-defined]
    spawn.get_preparation_data = preparation
