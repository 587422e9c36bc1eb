"""Several processes on one address: a check that reaches the wrong worker is handed to the right one.

All workers bind the address with SO_REUSEPORT, and the system spreads datagrams over them by sender. A user
fragment begins with the number of its worker. Whoever gets a check for another passes it on through a local
socket; the right worker answers, and opens a socket connected to that sender, which the system prefers
from then on. Linux only. See docs/decisions/0033-workers.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtc.socket_address import bind, unpack_address

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

log = logging.getLogger(__name__)

#: Checks read from other workers in one turn of the loop.
_BATCH: Final = 64
_LONGEST: Final = 2048
MAX_WORKERS: Final = 64


class HandOver:
    """The door between worker `worker` and the others."""

    def __init__(self, mux: UdpMux, folder: str, worker: int, door: socket.socket) -> None:
        self._mux, self._folder, self.worker, self._door = mux, Path(folder), worker, door
        self._loop = asyncio.get_running_loop()
        self._claimed: dict[bytes, socket.socket] = {}  # sockets connected to peers
        #: Checks passed on to others, those that came from others, and those that found a full door.
        self.passed_on = self.taken = self.lost = 0
        self._loop.add_reader(door.fileno(), self._read)

    @classmethod
    async def open(cls, mux: UdpMux, folder: str, worker: int) -> HandOver:
        """Raises OSError."""
        door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        door.setblocking(False)
        door.bind(_path(Path(folder), worker))
        return cls(mux, folder, worker, door)

    def pass_on(self, fragment: str, data: bytes, address: bytes) -> bool:
        """Whether the check is another worker's, and has been given to it."""
        number, marked, _ = fragment.partition("x")
        if not marked or not number.isascii() or not number.isdigit() or len(number) > 2:
            return False
        if int(number) == self.worker or int(number) >= MAX_WORKERS:
            return False
        try:
            self._door.sendto(bytes((len(address),)) + address + data, _path(self._folder, int(number)))
            self.passed_on += 1
        except OSError:  # that worker is not there, or has too much to do
            self.lost += 1
            return False
        return True

    def claim(self, address: bytes) -> None:
        """From now on datagrams of this sender reach this process directly."""
        reader = self._mux.reader
        if reader is None or address in self._claimed or len(address) not in (16, 28):
            return
        own_host, own_port = reader.socket.getsockname()[:2]
        host, port = unpack_address(address)
        if ":" in own_host and ":" not in host:
            host = f"::ffff:{host}"
        try:
            sock = bind(own_host, own_port, reuse_port=True)
        except OSError as error:
            log.warning("a member's datagrams will be handed over one by one: %s", error)
            return
        try:
            sock.setblocking(False)
            sock.connect((host, port))
        except OSError as error:
            sock.close()
            log.warning("a member's datagrams will be handed over one by one: %s", error)
            return
        self._claimed[address] = sock
        self._loop.add_reader(sock.fileno(), reader.read, sock.fileno())

    def release(self, address: bytes) -> None:
        sock = self._claimed.pop(address, None)
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()

    def close(self) -> None:
        for address in list(self._claimed):
            self.release(address)
        self._loop.remove_reader(self._door.fileno())
        self._door.close()
        with contextlib.suppress(OSError):
            Path(_path(self._folder, self.worker)).unlink()

    def _read(self) -> None:
        for _ in range(_BATCH):
            try:
                message = self._door.recv(_LONGEST)
            except OSError:
                return
            if message and 1 + message[0] < len(message):
                self.taken += 1
                address, data = message[1 : 1 + message[0]], message[1 + message[0] :]
                self._mux.check(data, address)


def _path(folder: Path, worker: int) -> str:
    return str(folder / f"worker-{worker}")
