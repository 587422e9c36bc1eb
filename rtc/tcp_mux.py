"""Peers whose network lets no UDP through: ICE over TCP (RFC 6544, passive) at the same port number.

Each connection carries datagrams with their length before them (RFC 4571). To the port it is one more
address, whose key is no sockaddr. What has not proven itself by a check may say little, and not for long.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rtc import checks
from rtc.fanout import MAX_DATAGRAM
from rtc.socket_address import Address, listener, site

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

log = logging.getLogger(__name__)

#: Connections in all, and of one address: a company behind one NAT needs many, each costs some 10 kB.
MAX_CONNECTIONS: Final = 1000
MAX_PER_ADDRESS: Final = 100
#: Connections without a valid check; when there is one more, the oldest goes. More lets slow networks in
#: during a flood, fewer costs less memory in one.
MAX_UNPROVEN: Final = 200
#: Seconds until a connection's first valid check. Longer helps slow networks, shorter frees what is idle.
PROOF_S: Final = 10.0
#: Frames until then. A peer repeats its check some twenty times in that time.
UNPROVEN_FRAMES: Final = 40
#: Frames of one connection in one turn of the loop. More cost less, fewer let others have their turn sooner:
#: one read may bring 80,000 that are empty but for a byte.
FRAMES_A_TURN: Final = 64
#: Bytes waiting to be written; what comes on top is dropped, as a full path would. Larger adds delay.
MAX_UNWRITTEN: Final = 256 * 1024
#: Seconds for what is still to be written to a peer whose path has ended.
GOODBYE_S: Final = 2.0
_TAG: Final = b"T"


class _Connection(asyncio.Protocol):
    """One peer's stream of datagrams."""

    def __init__(self, tcp: TcpMux) -> None:
        self._tcp = tcp
        self._buffer = bytearray()
        self._behind = False
        self._frames = 0
        self.transport: Any = None
        self.key = b""
        self.remote: Address = ("", 0)
        self.proven = self.over = False
        self.deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._tcp.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
        self._tcp.ended(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._behind:
            self._read()

    def _read(self) -> None:
        """Hands on whole frames, so many in one turn."""
        buffer, at = self._buffer, 0
        self._behind = False
        for _ in range(FRAMES_A_TURN):
            if self.over or len(buffer) < at + 2:
                break
            size = buffer[at] << 8 | buffer[at + 1]
            if size > MAX_DATAGRAM:
                self.end("tcp-malformed")
                return
            if len(buffer) < at + 2 + size:
                break
            if size and not self._frame(bytes(buffer[at + 2 : at + 2 + size])):
                return
            at += 2 + size
        else:
            self._behind = not self.over and not self.transport.is_closing()
        del buffer[:at]
        if self._behind:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self.over and not self.transport.is_closing():
            self.transport.resume_reading()
            self._read()

    def _frame(self, data: bytes) -> bool:
        """Whether there may be another one."""
        if not self.proven:
            self._frames += 1
            if data[0] > 3 or self._frames > UNPROVEN_FRAMES:
                self.end("tcp-unproven")
                return False
            if self._frames == 1 and self._tcp.passed_on(self, data, bytes(self._buffer)):
                self.end()
                return False
        self._tcp.mux.deliver(data, self.key)
        return True

    def end(self, reason: str = "") -> None:
        """At once."""
        self.over = True
        if reason:
            self._tcp.mux.count(reason)
        self.transport.abort()


class TcpMux:
    """The listening end. `mux` sees each connection as an address. `shared`: other workers listen too."""

    def __init__(self, mux: UdpMux) -> None:
        self.mux = mux
        self.connections: dict[bytes, _Connection] = {}
        self._unproven: OrderedDict[bytes, _Connection] = OrderedDict()
        self._per_owner: Counter[bytes] = Counter()
        self._server: asyncio.AbstractServer | None = None
        self._adopting: set[asyncio.Task[Any]] = set()
        self._numbers = 0

    @classmethod
    async def open(cls, mux: UdpMux, host: str, port: int, *, shared: bool = False) -> TcpMux | None:
        """Listens; None where the number is taken: then there are no candidates over TCP."""
        tcp = cls(mux)
        try:
            listening = listener(host, port, reuse_port=shared)
        except OSError as error:
            log.info("no media over TCP at port %d: %s", port, error)
            return None
        try:
            loop = asyncio.get_running_loop()
            tcp._server = await loop.create_server(lambda: _Connection(tcp), sock=listening, backlog=128)
        except OSError as error:
            listening.close()
            log.info("no media over TCP at port %d: %s", port, error)
            return None
        return tcp

    @property
    def used(self) -> bool:
        """Whether anybody ever came."""
        return self._numbers > 0

    def remote(self, key: bytes) -> Address | None:
        """Where the connection behind an address of the port comes from."""
        connection = self.connections.get(key)
        return connection.remote if connection is not None else None

    def prove(self, key: bytes) -> None:
        """A valid check came over it."""
        connection = self._unproven.pop(key, None)
        if connection is not None:
            connection.proven = True
            _cancel(connection)

    def drop(self, key: bytes) -> None:
        """Nobody is behind this address any more; what is written already still leaves."""
        connection = self.connections.get(key)
        if connection is not None and not connection.over:
            connection.over = True
            connection.transport.close()
            self._unproven.pop(key, None)
            self._set_deadline(connection, GOODBYE_S)

    def write(self, datagrams: Iterable[tuple[bytes, bytes]]) -> None:
        """What the plane has for connections."""
        parts: dict[bytes, list[bytes]] = {}
        room: dict[bytes, int] = {}
        for key, data in datagrams:
            connection = self.connections.get(key)
            if connection is None or connection.over:
                self.mux.count("unreachable")
                continue
            if key not in room:
                room[key] = MAX_UNWRITTEN - connection.transport.get_write_buffer_size()
            room[key] -= len(data) + 2
            if room[key] < 0:
                self.mux.count("tcp-full")
                continue
            parts.setdefault(key, []).append(len(data).to_bytes(2, "big") + data)
        for key, frames in parts.items():
            self.connections[key].transport.write(b"".join(frames))

    def passed_on(self, connection: _Connection, check: bytes, read: bytes) -> bool:
        """Whether the first check names another worker, and that has the connection now."""
        hand_over = self.mux.hand_over
        if hand_over is None:
            return False
        try:
            fragment = checks.user_fragment(check)
        except checks.CheckError:
            return False
        sock = connection.transport.get_extra_info("socket")
        return hand_over.pass_connection(fragment, sock.fileno(), read)

    def adopt(self, sock: socket.socket, read: bytes) -> None:
        """A connection that another worker accepted, and what it has read of it."""

        async def take_over() -> None:
            sock.setblocking(False)
            try:
                _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: _Connection(self), sock
                )
            except OSError:  # it has ended meanwhile
                sock.close()
                return
            except BaseException:
                sock.close()
                raise
            if not connection.over:
                connection.data_received(read)

        task = asyncio.get_running_loop().create_task(take_over())
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def opened(self, connection: _Connection) -> None:
        peer = connection.transport.get_extra_info("peername")
        host = str(peer[0]).removeprefix("::ffff:") if peer else ""
        connection.remote = (host, int(peer[1]) if peer else 0)
        if not peer or len(self.connections) >= MAX_CONNECTIONS:
            connection.end("tcp-too-many")
            return
        if self._per_owner[site(host)] >= MAX_PER_ADDRESS:
            connection.end("tcp-too-many")
            return
        if len(self._unproven) >= MAX_UNPROVEN:
            self._unproven.popitem(last=False)[1].end("tcp-unproven")
        self._numbers += 1
        connection.key = _TAG + self._numbers.to_bytes(8, "big")
        self.connections[connection.key] = self._unproven[connection.key] = connection
        self._per_owner[site(host)] += 1
        self._set_deadline(connection, PROOF_S)

    def ended(self, connection: _Connection) -> None:
        _cancel(connection)
        self._unproven.pop(connection.key, None)
        if self.connections.pop(connection.key, None) is None:
            return
        owner = site(connection.remote[0])
        self._per_owner[owner] -= 1
        if not self._per_owner[owner]:
            del self._per_owner[owner]
        self.mux.leave(connection.key)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._adopting:
            task.cancel()
        await asyncio.gather(*self._adopting, return_exceptions=True)
        for connection in list(self.connections.values()):
            connection.end()
        if self._server is not None:
            await self._server.wait_closed()

    def _set_deadline(self, connection: _Connection, seconds: float) -> None:
        _cancel(connection)
        reason = "" if connection.over else "tcp-unproven"
        connection.deadline = asyncio.get_running_loop().call_later(seconds, connection.end, reason)


def _cancel(connection: _Connection) -> None:
    if connection.deadline is not None:
        connection.deadline.cancel()
        connection.deadline = None
