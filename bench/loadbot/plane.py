"""The forwarding plane of one process of light members: it opens, seals, receives and sends for all of them.

Each member has a socket of its own, as members have. Those of a few are read as soon as something comes, so
that their delays are right; the others' are read every 8 ms, which costs a third.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import select
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from bench.loadbot.scenarios import Trouble
from bench.loadbot.troubles import Losses, ThinLink
from rtc.fanout import Fanout, Record
from rtc.fanout_open import PlaneKind, open_fanout
from rtc.socket_address import pack_address, unpack_address

#: Seconds between looks at what is due. Sockets that may wait are read group by group, one each tick: longer
#: ticks and more groups cost less for each packet; buffers must hold what comes in between.
TICK: Final = 0.002
GROUPS: Final = 4
#: Bytes that a socket may hold until it is read: a key frame and what comes in a pause of the process.
_BUFFER_BYTES: Final = 2 << 20
#: Records of a batch after which there is probably more to read.
_FULL: Final = 32
#: Datagrams of media that wait for the end of the handshake: the server may be done first.
_EARLY: Final = 512
#: Seconds for a full send buffer to empty; what is left then is given up.
_WRITE_TIMEOUT: Final = 0.05

Batch = Callable[[Sequence[Record], int], None]


class Plane:
    """`run` until it is cancelled. `call_at` is for what happens at times, to the tick."""

    def __init__(self, kind: PlaneKind = "auto") -> None:
        self.fanout: Fanout = open_fanout(kind)
        self._groups = [selectors.DefaultSelector() for _ in range(GROUPS)]
        self._watched = 0
        self._due: list[tuple[float, int, Callable[[float], float | None]]] = []
        self._numbers = itertools.count()
        self._shaped: list[Way] = []

    @staticmethod
    def now() -> int:
        """Microseconds of the monotonic clock."""
        return time.monotonic_ns() // 1000

    def call_at(self, when: float, what: Callable[[float], float | None]) -> None:
        """Calls `what(now)` at `when` (monotonic seconds), and again when it says, None never."""
        heapq.heappush(self._due, (when, next(self._numbers), what))

    def watch(self, way: Way, *, prompt: bool) -> None:
        """Reads the way's socket from now on."""
        if way.shaped:
            self._shaped.append(way)
        elif prompt:
            asyncio.get_running_loop().add_reader(way.socket, way.read)
        else:
            self._watched += 1
            self._groups[self._watched % GROUPS].register(way.socket, selectors.EVENT_READ, way.read)

    def forget(self, way: Way) -> None:
        for group in self._groups:
            with suppress(KeyError, ValueError):
                group.unregister(way.socket)
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(way.socket)
        if way in self._shaped:
            self._shaped.remove(way)

    async def run(self) -> None:
        turns = itertools.cycle(self._groups)
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for way in list(self._shaped):
                way.read()
            for key, _ in next(turns).select(0):
                key.data()
            while self._due and self._due[0][0] <= now:
                _, number, what = heapq.heappop(self._due)
                again = what(now)
                if again is not None:
                    heapq.heappush(self._due, (max(again, now + 0.001), number, what))

    def close(self) -> None:
        for group in self._groups:
            group.close()
        self.fanout.close()


class Way:
    """One socket of one peer of the plane, to one server. `trouble` makes it a bad one."""

    def __init__(self, plane: Plane, peer: int, batch: Batch, host: str, trouble: Trouble | None = None):
        self._plane, self._fanout, self._peer, self._batch = plane, plane.fanout, peer, batch
        self.remote = b""
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self.socket.bind((host, 0))
        self._fd = self.socket.fileno()
        self.shaped = trouble is not None and bool(trouble.loss or trouble.rate)
        self._early: list[bytes] | None = []
        self._link = ThinLink(trouble.queue_s if trouble is not None else 0.3)
        self._losses_in, self._losses_out = Losses(peer), Losses(peer + 1)

    def trouble(self, trouble: Trouble | None) -> None:
        """Begins, or ends with None."""
        self._losses_in.share = self._losses_out.share = trouble.loss if trouble is not None else 0.0
        if trouble is not None and trouble.rate:
            self._link.rate = trouble.rate
        else:
            self._link.free()

    def use(self, remote: bytes) -> None:
        """Media goes to this address, and what comes from it is ours."""
        self.remote = remote
        self._fanout.set_address(self._peer, remote)

    def keyed(self) -> None:
        """Media can be opened: what waited comes first."""
        early, self._early = self._early, None
        if early:
            now = self._plane.now()
            self._fanout.route(self.remote, self._peer)
            for data in early:
                self._deliver(data, self.remote, now)

    def read(self) -> None:
        """Takes in what has come."""
        now = self._plane.now()
        if self.remote:
            self._fanout.route(self.remote, self._peer)  # every member has the same server
        if self._early is not None:
            self._read_early(self._early, now)
        elif self.shaped:
            self._read_shaped(now)
        else:
            receive, fd = self._fanout.receive, self._fd
            while True:
                records = receive(fd, now)
                if records:
                    self._batch(records, now)
                if len(records) < _FULL:
                    return

    def flush(self) -> None:
        """Sends what was sealed, which is all this peer's."""
        if self._fd < 0:
            self._fanout.flush(-1, self._plane.now())
            self._fanout.take()
        elif self.shaped:
            self._fanout.flush(-1, self._plane.now())
            for address, data in self._fanout.take():
                if not self._losses_out.takes():
                    with suppress(OSError):
                        self.socket.sendto(data, unpack_address(address))
        elif self._fanout.flush(self._fd, self._plane.now()):
            select.select([], [self._fd], [], _WRITE_TIMEOUT)
            if self._fanout.flush(self._fd, self._plane.now()):
                self._fanout.flush(-1, self._plane.now())
                self._fanout.take()

    def close(self) -> None:
        if self._fd >= 0:
            self._plane.forget(self)
            self.socket.close()
            self._fd = -1

    def _read_shaped(self, now: int) -> None:
        with suppress(OSError):  # nothing more, or the network's answer to something sent earlier
            while True:
                data = self.socket.recv(2048)
                if data and not self._losses_in.takes():
                    self._link.offer(data, now)
        for data in self._link.due(now):
            self._deliver(data, self.remote, now)

    def _read_early(self, early: list[bytes], now: int) -> None:
        with suppress(OSError):
            while True:
                data, address = self.socket.recvfrom(2048)
                if not data or data[0] < 128:
                    self._deliver(data, pack_address(*address[:2]), now)
                elif len(early) < _EARLY:
                    early.append(data)

    def _deliver(self, data: bytes, address: bytes, now: int) -> None:
        records = self._fanout.deliver(data, address, now)
        if records:
            self._batch(records, now)
