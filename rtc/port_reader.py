"""How the port's socket meets the event loop: read as a descriptor, or where that is not possible datagram by
datagram."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from rtc.fanout_socket import from_sockaddr, is_sockaddr, to_sockaddr

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

#: Batches that are read in one turn of the loop. More share the cost of waking up; fewer let others have
#: their turn sooner.
BATCHES: Final = 8
#: Records of a batch after which there is probably more to read.
FULL: Final = 32
#: Bytes that asyncio keeps for a socket that takes no more; what comes on top is dropped. Larger adds delay.
MAX_UNSENT: Final = 4 << 20


Datagrams = list[tuple[bytes, bytes]]  # address, data


class PortIO(Protocol):
    """Reads into a port and sends for it."""

    closed: bool

    def flush(self, now: int) -> Datagrams:
        """Sends what the plane has ready; returns what is for no socket."""

    async def close(self) -> None: ...


async def open_io(mux: UdpMux, sock: socket.socket) -> PortIO:
    """Takes over the non-blocking `sock`; the fallback where the loop watches no descriptors (Windows)."""
    try:
        return ReaderPort(mux, sock)
    except NotImplementedError:
        return await EndpointPort.open(mux, sock)


class ReaderPort:
    """The plane reads and writes the descriptor itself; the loop says when. Raises NotImplementedError where
    a loop watches no descriptors."""

    def __init__(self, mux: UdpMux, sock: socket.socket) -> None:
        self._mux, self.socket, self._fd = mux, sock, sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._writing = False
        self.closed = False
        self._loop.add_reader(self._fd, self.read, self._fd)

    def read(self, fd: int) -> None:
        """What has come at descriptor `fd`, this socket or one connected to a peer of the port."""
        mux = self._mux
        now = mux.now()
        some = False
        mux.held = True
        try:
            for _ in range(BATCHES):
                records = mux.fanout.receive(fd, now)
                mux.take_in(records, now)
                some = some or bool(records)
                if len(records) < FULL:
                    break  # the loop says when there is more
        finally:
            mux.release(some=some)

    def flush(self, now: int) -> Datagrams:
        fanout = self._mux.fanout
        if fanout.flush(self._fd, now) and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)
        return fanout.take() if self._mux.has_connections else []

    def _writable(self) -> None:
        self._writing = False
        self._loop.remove_writer(self._fd)
        self._mux.flush()

    async def close(self) -> None:
        self.closed = True
        self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
        self.socket.close()


class EndpointPort(asyncio.DatagramProtocol):
    """asyncio's own datagrams, one at a time: works on every loop."""

    def __init__(self, mux: UdpMux) -> None:
        self._mux = mux
        self._transport: Any = None
        self._full = False
        self._ended = asyncio.get_running_loop().create_future()
        self.closed = False

    @classmethod
    async def open(cls, mux: UdpMux, sock: socket.socket) -> EndpointPort:
        _, port = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(mux), sock=sock)
        return port

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_UNSENT)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def error_received(self, error: Exception) -> None:
        self._mux.count("unreachable")

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._mux.deliver(data, to_sockaddr(address))

    def flush(self, now: int) -> Datagrams:
        fanout = self._mux.fanout
        fanout.flush(-1, now)
        others: Datagrams = []
        for address, data in fanout.take():
            if not is_sockaddr(address):
                others.append((address, data))
            elif self._full:
                self._mux.count("send-buffer-full")
            else:
                self._transport.sendto(data, from_sockaddr(address))
        return others

    async def close(self) -> None:
        self.closed = True
        self._transport.close()
        await self._ended
