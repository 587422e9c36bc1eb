"""Peers whose network lets no UDP through: ICE over TCP (RFC 6544, passive) at the same port number.

Each connection carries datagrams with their length before them (RFC 4571); to the port it is one more
address.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rtc.fanout import MAX_DATAGRAM
from rtc.socket_address import Address

if TYPE_CHECKING:
    from rtc.udp_mux import UdpMux

log = logging.getLogger(__name__)

#: Connections in all, and of one address: a company behind one NAT needs many, each costs some 10 kB.
MAX_CONNECTIONS: Final = 1000
MAX_PER_ADDRESS: Final = 100
#: Seconds until a connection's first check is answered. Longer helps slow networks, shorter frees what is
#: idle.
PROOF_S: Final = 10.0
#: Bytes waiting to be written; what comes on top is dropped, as a full path would. Larger adds delay.
MAX_UNWRITTEN: Final = 256 * 1024
_TAG: Final = b"T"


class _Connection(asyncio.Protocol):
    """One peer's stream of datagrams."""

    def __init__(self, tcp: TcpMux) -> None:
        self._tcp = tcp
        self._buffer = bytearray()
        self.transport: Any = None
        self.key = b""
        self.remote: Address = ("", 0)
        self.proven: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._tcp.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._tcp.ended(self)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 2:
            size = buffer[0] << 8 | buffer[1]
            if not 0 < size <= MAX_DATAGRAM:
                self.transport.abort()
                return
            if len(buffer) < 2 + size:
                return
            datagram = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._tcp.mux.deliver(datagram, self.key)


class TcpMux:
    """The listening end. `mux` sees each connection as an address."""

    def __init__(self, mux: UdpMux) -> None:
        self.mux = mux
        self.connections: dict[bytes, _Connection] = {}
        self.unwritten = 0  # datagrams dropped because a peer reads too slowly
        self._per_host: Counter[str] = Counter()
        self._server: asyncio.AbstractServer | None = None
        self._numbers = 0

    @classmethod
    async def open(cls, mux: UdpMux, host: str, port: int) -> TcpMux | None:
        """Listens; None where the number is taken: then there are no candidates over TCP."""
        tcp = cls(mux)
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if host == "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((host, port))
            tcp._server = await loop.create_server(lambda: _Connection(tcp), sock=listener, backlog=128)
        except OSError as error:
            listener.close()
            log.info("no media over TCP at port %d: %s", port, error)
            return None
        return tcp

    def remote(self, key: bytes) -> Address | None:
        """Where the connection behind an address of the port comes from."""
        connection = self.connections.get(key)
        return connection.remote if connection is not None else None

    def opened(self, connection: _Connection) -> None:
        peer = connection.transport.get_extra_info("peername")
        host = str(peer[0]).removeprefix("::ffff:") if peer else ""
        connection.remote = (host, int(peer[1]) if peer else 0)
        if len(self.connections) >= MAX_CONNECTIONS or self._per_host[host] >= MAX_PER_ADDRESS or not peer:
            connection.transport.abort()
            return
        self._numbers += 1
        connection.key = _TAG + self._numbers.to_bytes(8, "big")
        self.connections[connection.key] = connection
        self._per_host[host] += 1
        loop = asyncio.get_running_loop()
        connection.proven = loop.call_later(PROOF_S, self._give_up, connection)

    def ended(self, connection: _Connection) -> None:
        if self.connections.pop(connection.key, None) is None:
            return
        self._per_host[connection.remote[0]] -= 1
        if not self._per_host[connection.remote[0]]:
            del self._per_host[connection.remote[0]]
        if connection.proven is not None:
            connection.proven.cancel()
        self.mux.leave(connection.key)

    def write(self, datagrams: Iterable[tuple[bytes, bytes]]) -> None:
        """What the plane has for connections."""
        for address, data in datagrams:
            connection = self.connections.get(address)
            if connection is None:
                continue
            if connection.proven is not None:  # something is answered: it has proven itself
                connection.proven.cancel()
                connection.proven = None
            if connection.transport.get_write_buffer_size() > MAX_UNWRITTEN:
                self.unwritten += 1
                continue
            connection.transport.write(len(data).to_bytes(2, "big") + data)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections.values()):
            connection.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def _give_up(self, connection: _Connection) -> None:
        connection.proven = None
        connection.transport.abort()
