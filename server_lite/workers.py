"""Rooms spread over worker processes on one address. Signalling stays in this process; media is the workers'.

A room is put where the fewest members are, and stays there. A worker that dies is started again: its rooms
are opened anew on it, and their members find a new path by themselves, with their signalling untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rtc.secret import Secret
from rtc.signalling import ProtocolError, media
from server_lite.config import Settings
from server_lite.ipc import Channel
from server_lite.ladder import Caps
from server_lite.media_host import PortCounts
from server_lite.media_room import Accepted, Agreement, Events, MediaSnapshot
from server_lite.observers import Counters
from server_lite.worker import WorkerSettings

log = logging.getLogger(__name__)

#: Seconds for a worker to open its port, to answer a question, and to end when it is told to.
START_S: Final = 20.0
ANSWER_S: Final = 10.0
STOP_S: Final = 5.0
#: Seconds before a worker that died is started again. Shorter brings rooms back sooner; a worker that cannot
#: live would take the whole machine.
RESTART_S: Final = 0.5

_BUSY: Final = "The meeting's media is being started again. Try again in a moment."


class RemoteRoom:
    """A room's media in a worker: what MediaRoom does, asked over the channel."""

    def __init__(self, worker: _WorkerProcess, room: str, events: Events) -> None:
        self._worker, self.room, self.events = worker, room, events
        self._snapshot = MediaSnapshot()
        self._before = MediaSnapshot()  # of workers that died
        self._paused: dict[str, bool] = {}
        self._members: set[str] = set()

    @property
    def members(self) -> int:
        return len(self._members)

    async def accept(self, member: str, offer: media.Offer) -> Accepted:
        self._members.add(member)
        accepted: Accepted = await self._worker.ask(self.room, "accept", (member, offer))
        return accepted

    async def commit(self, member: str, agreement: Agreement) -> str:
        sdp: str = await self._worker.ask(self.room, "commit", (member, agreement))
        return sdp

    def abandon(self, member: str) -> None:
        self._worker.tell(self.room, "abandon", (member,))

    def select(self, member: str, wanted: Mapping[str, str | None]) -> None:
        self._worker.tell(self.room, "select", (member, dict(wanted)))

    def view(self, member: str, sizes: Mapping[str, int], main: str | None) -> None:
        self._worker.tell(self.room, "view", (member, dict(sizes), main))

    def pause(self, producer: str, paused: bool) -> None:
        self._worker.tell(self.room, "pause", (producer, paused))

    def remove(self, member: str) -> None:
        self._members.discard(member)
        self._worker.tell(self.room, "remove", (member,))

    def snapshot(self) -> MediaSnapshot:
        total = Counters()
        total.add(self._before.counters)
        total.add(self._snapshot.counters)
        return MediaSnapshot(total)

    def dump(self) -> dict[str, object]:
        """What this process knows; the worker has the rest."""
        return {"worker": self._worker.index, "members": self.members}

    async def close(self) -> None:
        self._worker.forget(self)

    def reported(self, snapshot: MediaSnapshot) -> None:
        self._snapshot = snapshot

    def begin_anew(self) -> None:
        """The worker died; what it counted stays."""
        self._before, self._snapshot = self.snapshot(), MediaSnapshot()


class _WorkerProcess:
    """One worker and the rooms that it carries."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._rooms: dict[str, RemoteRoom] = {}
        self._runner: asyncio.Task[None] | None = None
        self.counts, self._counts_before = PortCounts(), PortCounts()
        self.new_rooms = True
        self.port = 0

    @property
    def index(self) -> int:
        return self._settings.index

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def members(self) -> int:
        return sum(room.members for room in self._rooms.values())

    @property
    def load(self) -> tuple[bool, int, int]:
        """Where a new room goes: to the worker with the least of these."""
        return not self.new_rooms, self.members, len(self._rooms)

    async def start(self) -> None:
        """Returns when the worker's port is open; raises OSError."""
        await self._launch()
        self._runner = asyncio.get_running_loop().create_task(self._run())

    def open(self, room: str, events: Events) -> RemoteRoom:
        remote = self._rooms[room] = RemoteRoom(self, room, events)
        self._send("open", room)
        return remote

    def forget(self, remote: RemoteRoom) -> None:
        if self._rooms.get(remote.room) is remote:
            del self._rooms[remote.room]
            self._send("close", remote.room)

    def tell(self, room: str, method: str, arguments: tuple[Any, ...]) -> None:
        self._send("tell", room, method, arguments)

    async def ask(self, room: str, method: str, arguments: tuple[Any, ...]) -> Any:
        """Raises ProtocolError where the worker refuses, or is not there."""
        if self._channel is None:
            raise ProtocolError("media-restarting", _BUSY)
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._send("ask", number, room, method, arguments)
            return await asyncio.wait_for(answer, ANSWER_S)
        except (TimeoutError, ConnectionError):
            raise ProtocolError("media-restarting", _BUSY) from None
        finally:
            self._answers.pop(number, None)

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()
        await self._reap()

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "server_lite.worker", str(theirs.fileno())]
            self._process = _started(command, theirs.fileno())
        channel = await Channel.over(ours)
        channel.send(self._settings)
        try:
            answer = await asyncio.wait_for(channel.receive(), START_S)
        except (TimeoutError, ConnectionError):
            answer = ("failed", "it did not start")
        match answer:
            case ("ready", int(port)):
                self.port, self._channel = port, channel
            case _:
                await channel.close()
                await self._reap()
                raise OSError(f"A worker cannot carry media: {answer[-1]}")

    async def _run(self) -> None:
        while True:
            await self._listen()
            log.error("worker %d has died; its meetings' media is started again", self.index)
            await self._mourn()
            while self._channel is None:
                await asyncio.sleep(RESTART_S)
                try:
                    await self._launch()
                except OSError as error:
                    log.error("%s", error)
            for room in self._rooms:
                self._send("open", room)

    async def _listen(self) -> None:
        channel = self._channel
        assert channel is not None
        with contextlib.suppress(ConnectionError):
            while True:
                self._heard(await channel.receive())

    def _heard(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("answer", number, value):
                answer = self._answers.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(value)
            case ("refused", number, (code, sentence, re)):
                answer = self._answers.get(number)
                if answer is not None and not answer.done():
                    answer.set_exception(ProtocolError(code, sentence, re))
            case ("event", room, method, arguments):
                remote = self._rooms.get(room)
                if remote is not None:
                    getattr(remote.events, method)(*arguments)
            case ("report", counts, new_rooms, rooms):
                self.new_rooms = new_rooms
                self.counts = _sum([self._counts_before, counts])
                for name, snapshot in rooms.items():
                    if name in self._rooms:
                        self._rooms[name].reported(snapshot)

    async def _mourn(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        await self._reap()
        self._counts_before = self.counts
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the worker has died"))
        for room in self._rooms.values():
            room.begin_anew()

    async def _reap(self) -> None:
        """The process ends when its channel does; if not, it is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def _send(self, *message: Any) -> None:
        if self._channel is not None:
            self._channel.send(*message)


class WorkerHost:
    """Media over `count` processes, 2 or more."""

    def __init__(self, settings: Settings, udp_port: int, count: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hearth-workers-")
        known = replace(settings, owner_key=Secret(""))
        self._processes = [
            _WorkerProcess(WorkerSettings(index, udp_port, self._folder.name, known))
            for index in range(count)
        ]

    @property
    def udp_port(self) -> int:
        return self._processes[0].port

    @property
    def workers(self) -> int:
        return len(self._processes)

    @property
    def new_rooms(self) -> bool:
        return any(process.new_rooms for process in self._processes)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._processes)

    async def start(self) -> None:
        """Returns when all ports are open; raises OSError, and then nothing is left running."""
        try:
            await asyncio.gather(*(process.start() for process in self._processes))
        except OSError:
            await self.close()
            raise

    def open(self, room: str, events: Events) -> RemoteRoom:
        return min(self._processes, key=lambda process: process.load).open(room, events)

    def counts(self) -> PortCounts:
        return _sum([process.counts for process in self._processes])

    def limit(self, caps: Caps, last_n: int | None) -> None:
        """Nothing: each worker measures its own load, and no media is carried here."""

    async def close(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._folder.cleanup()


def _started(command: list[str], fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL)


def _sum(counts: list[PortCounts]) -> PortCounts:
    dropped: Counter[str] = Counter()
    for each in counts:
        dropped.update(each.dropped)
    return PortCounts(
        sum(c.packets_in for c in counts),
        sum(c.packets_out for c in counts),
        sum(c.octets_in for c in counts),
        sum(c.octets_out for c in counts),
        sum(c.forwarded for c in counts),
        dict(dropped),
    )
