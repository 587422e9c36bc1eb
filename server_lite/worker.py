"""`python -m server_lite.worker FD`: a process that carries the media of some rooms of a server.

It is told what to do over the socket pair FD and ends with it. All workers share one address; see
rtc/hand_over.py.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rtc import collector
from rtc.signalling import ProtocolError
from rtc.transport import Certificate
from rtc.udp_mux import UdpMux
from server_lite.addresses import media_addresses
from server_lite.config import Settings
from server_lite.ipc import Channel
from server_lite.load import LoadManager
from server_lite.media_host import LocalHost, host_sampler
from server_lite.media_room import MediaRoom
from server_lite.peer import MediaPort

log = logging.getLogger(__name__)

#: Seconds between two accounts of what went through. Longer makes /metrics older.
REPORT_S: Final = 1.0
#: What may be asked of a room's media, and whether an answer is waited for.
METHODS: Final = {
    "accept": True,
    "commit": True,
    "abandon": False,
    "select": False,
    "view": False,
    "pause": False,
    "remove": False,
}


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is told first."""

    index: int
    udp_port: int
    hand_over: str  # folder of the sockets between workers
    server: Settings  # without its owner's key


class _Events:
    """Tells the server what happens in a room."""

    def __init__(self, channel: Channel, room: str) -> None:
        self._channel, self._room = channel, room

    def speaker_changed(self, member: str | None) -> None:
        self._channel.send("event", self._room, "speaker_changed", (member,))

    def states_changed(self, member: str, states: Mapping[str, tuple[str, str]]) -> None:
        self._channel.send("event", self._room, "states_changed", (member, dict(states)))

    def voices_changed(self, member: str, voices: Mapping[str, str | None]) -> None:
        self._channel.send("event", self._room, "voices_changed", (member, dict(voices)))


class Worker:
    """Serves one channel until it ends."""

    def __init__(self, channel: Channel, host: LocalHost, load: LoadManager) -> None:
        self._channel, self._host, self._load = channel, host, load
        self._rooms: dict[str, MediaRoom] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        sampler = host_sampler(self._load, self._host)
        helpers = [loop.create_task(self._report()), loop.create_task(sampler.run())]
        try:
            while True:
                await self._serve(await self._channel.receive())
        except ConnectionError:
            pass
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, *self._tasks, return_exceptions=True)
            await self._host.close()
            await self._channel.close()

    async def _serve(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("open", room):
                self._rooms[room] = self._host.open(room, _Events(self._channel, room))
            case ("close", room):
                media = self._rooms.pop(room, None)
                if media is not None:
                    self._spawn(media.close())
            case ("dump", number, room):
                self._channel.send("answer", number, self._rooms[room].dump())
            case ("ask", number, room, method, arguments) if method in METHODS and room in self._rooms:
                await self._ask(number, getattr(self._rooms[room], method), arguments)
            case ("tell", room, method, arguments) if method in METHODS and room in self._rooms:
                getattr(self._rooms[room], method)(*arguments)
            case _:
                log.warning("a message of the server was not understood")

    async def _ask(self, number: int, method: Any, arguments: tuple[Any, ...]) -> None:
        try:
            self._channel.send("answer", number, await method(*arguments))
        except ProtocolError as error:
            self._channel.send("refused", number, (error.code, error.sentence, error.re))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            rooms = {name: media.snapshot() for name, media in self._rooms.items()}
            self._channel.send("report", self._host.counts(), self._load.limits.new_rooms, rooms)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def serve(sock: socket.socket) -> None:
    """Opens the port that the first message tells of, says so, and works."""
    channel = await Channel.over(sock)
    (told,) = await channel.receive()
    assert isinstance(told, WorkerSettings)
    settings = told.server
    try:
        mux = await UdpMux.open(
            settings.host,
            told.udp_port,
            kind=settings.forwarding,
            reuse_port=True,
            worker=told.index,
            hand_over=told.hand_over,
        )
    except OSError as error:
        channel.send("failed", str(error))
        await channel.close()
        return
    candidates = mux.candidates(media_addresses(settings.host, settings.advertise))
    certificate = await asyncio.to_thread(Certificate)
    host = LocalHost(MediaPort(mux, candidates, certificate), settings)
    channel.send("ready", mux.port)
    collector.settle()
    await Worker(channel, host, LoadManager(settings.load)).run()


def main() -> int:
    """See the module."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        import uvloop

        factory: Any = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(sock))
    except KeyboardInterrupt:  # Ctrl+C reaches the whole group; the server says when to stop
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
