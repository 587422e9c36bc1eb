"""Several processes on one address: a check that reaches the wrong worker is handed to the right one.

All workers bind the address with SO_REUSEPORT, and the system spreads datagrams over them by sender. A user
fragment begins with the number of its worker. Whoever gets a check for another passes it on through a local
socket; the right worker opens a socket connected to that sender, which the system prefers from then on, and
answers. A peer sends nothing else before it is answered, so checks are all that is ever handed over; of TCP
the connection itself, with its first check. Linux only. See docs/decisions/0033-workers.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtc.fanout_socket import from_sockaddr
from rtc.socket_address import bind

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

log = logging.getLogger(__name__)

#: Messages read from other workers in one turn of the loop. More cost less, fewer let others have their turn
#: sooner.
_BATCH: Final = 64
#: Bytes of the longest message: an address and a datagram, or what was read of a connection.
_LONGEST: Final = 2048
MAX_WORKERS: Final = 64
#: Bytes that wait to be read from one peer: some hundred packets of a key frame while the loop is busy.
#: Smaller loses them, larger adds delay when the machine is too slow.
PEER_BUFFER_BYTES: Final = 1 << 20


class HandOver:
    """The door between worker `worker` and the others, in `folder`, which only they may read.

    Raises OSError. A message is the length of an address, the address and a check; or 0 and what was read of
    a connection, whose descriptor comes along.
    """

    def __init__(self, mux: UdpMux, folder: str, worker: int) -> None:
        self._mux, self._folder, self.worker = mux, Path(folder), worker
        self._loop = asyncio.get_running_loop()
        self._claimed: dict[bytes, socket.socket] = {}  # sockets connected to peers
        #: Messages passed on to others, and those that came from others.
        self.passed_on = self.taken = 0
        self._door = _door(_path(self._folder, worker))
        self._loop.add_reader(self._door.fileno(), self._read)

    def pass_on(self, fragment: str, data: bytes, address: bytes) -> bool:
        """Whether the check is another worker's; it is given to it, or counted as lost."""
        number = self._other(fragment)
        if number is None:
            return False
        self._give(number, bytes((len(address),)) + address + data, [])
        return True

    def pass_connection(self, fragment: str, fd: int, read: bytes) -> bool:
        """Whether the connection is another worker's now, who has a descriptor of its own."""
        number = self._other(fragment)
        return number is not None and len(read) < _LONGEST and self._give(number, b"\0" + read, [fd])

    def claim(self, address: bytes) -> bool:
        """From now on datagrams of this sender reach this process. False where that cannot be had."""
        reader = self._mux.reader
        if reader is None or address in self._claimed or len(address) not in (16, 28):
            return True
        try:
            sock = _connected(reader.socket, address)
        except OSError as error:
            log.warning("a member's datagrams would reach another process: %s", error)
            return False
        self._claimed[address] = sock
        self._loop.add_reader(sock.fileno(), reader.read, sock.fileno())
        return True

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

    def _other(self, fragment: str) -> int | None:
        """The number of the worker that a user fragment names, if it is not this one."""
        number, marked, _ = fragment.partition("x")
        if not marked or not number.isascii() or not number.isdigit() or len(number) > 2:
            return None
        return None if int(number) == self.worker or int(number) >= MAX_WORKERS else int(number)

    def _give(self, number: int, message: bytes, descriptors: list[int]) -> bool:
        along = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        try:
            self._door.sendmsg([message], along, 0, _path(self._folder, number))
        except OSError:  # that worker is not there, or has too much to do
            self._mux.count("hand-over")
            return False
        self.passed_on += 1
        return True

    def _read(self) -> None:
        for _ in range(_BATCH):
            try:
                message, along, _, _ = self._door.recvmsg(_LONGEST, socket.CMSG_SPACE(4))
            except OSError:
                return
            self._take(message, _descriptors(along))

    def _take(self, message: bytes, descriptors: list[int]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        self.taken += 1
        if message and message[0] and not sockets:
            end = 1 + message[0]
            self._mux.check(message[end:], message[1:end])
        elif message and len(sockets) == 1:
            self._mux.adopt(sockets.pop(), message[1:])
        for sock in sockets:
            sock.close()


def _path(folder: Path, worker: int) -> str:
    return str(folder / f"worker-{worker}")


def _door(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()  # of a worker that died
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        door.setblocking(False)
        door.bind(path)
    except OSError:
        door.close()
        raise
    return door


def _connected(own: socket.socket, address: bytes) -> socket.socket:
    """A socket at the address of `own` that gets the datagrams of one sender; raises OSError."""
    sock = bind(*own.getsockname()[:2], reuse_port=True)
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # some systems refuse what is over their limit
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PEER_BUFFER_BYTES)
        sock.connect(from_sockaddr(address))
    except OSError:
        sock.close()
        raise
    return sock


def _descriptors(along: list[tuple[int, int, bytes]]) -> list[int]:
    found = array("i")
    for level, kind, data in along:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
