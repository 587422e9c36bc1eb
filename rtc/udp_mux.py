"""One UDP port for all peers of a server: the ICE-lite side (RFC 8445 section 2.5).

A STUN binding request names its peer by the user fragment and proves itself by the password; from then on
datagrams from that address belong to that peer. A peer may move (Wi-Fi to cable): the next valid request
that nominates brings its new address, with no new handshake. Whatever is not understood is counted and
dropped, never answered, so the port cannot be used to reflect traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.utils import random_string

from rtc.sdp import Candidate

Address = tuple[str, int]

#: Kernel buffers in bytes. A key frame to 50 receivers is 1.5 MB at once; smaller loses packets then,
#: larger adds delay when the machine is too slow.
SOCKET_BUFFER_BYTES = 4 << 20
#: Addresses kept per peer. More lets a peer with many interfaces switch faster; each costs a table entry.
MAX_ADDRESSES_PER_PEER = 8
#: DTLS datagrams of one peer waiting for its handshake; more could only be garbage.
MAX_WAITING_DATAGRAMS = 64
#: Seconds since its last check for which an address stays with its peer, so that nobody who forges a sender
#: takes another's path. More keeps a reused address out longer; less than a check interval leaves it open.
OWNER_S = 30.0


class MuxLink:
    """One peer's share of the port. Looks like an ICE transport to DTLS: `_recv`, `_send`, role, state."""

    role = "controlled"

    def __init__(self, mux: UdpMux) -> None:
        self._mux = mux
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING_DATAGRAMS + 1)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False
        self.ufrag = random_string(8)
        self.password = random_string(24)
        self.address: Address | None = None
        self.addresses: OrderedDict[Address, None] = OrderedDict()
        self.last_check = 0.0  # loop time of the last valid binding request
        self.media_sink: Callable[[bytes], None] | None = None  # takes SRTP and SRTCP once keys are known

    @property
    def state(self) -> str:
        if self._closed:
            return "closed"
        return "completed" if self._ready.done() else "checking"

    async def wait_ready(self, timeout: float) -> None:
        """Returns when the peer has proven an address; raises ConnectionError after `timeout` seconds."""
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), timeout)
        except TimeoutError:
            raise ConnectionError("no connectivity check came from the peer") from None
        if self._closed:
            raise ConnectionError("the link is closed")

    def send(self, data: bytes) -> None:
        """To the peer's present address; dropped while there is none."""
        if self.address is not None:
            self._mux.send(data, self.address)

    async def _send(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionError("the link is closed")
        self.send(data)

    async def _recv(self) -> bytes:
        data = None if self._closed else await self._waiting.get()
        if data is None:
            raise ConnectionError("the link is closed")
        return data

    def datagram(self, data: bytes) -> None:
        """From a proven address: media to its sink, DTLS to the handshake."""
        first = data[0]
        if 128 <= first < 192:
            if self.media_sink is not None:
                self.media_sink(data)
            else:
                self._mux.dropped["media-before-keys"] += 1
        elif 20 <= first < 64:
            if self._waiting.qsize() < MAX_WAITING_DATAGRAMS:
                self._waiting.put_nowait(data)
            else:
                self._mux.dropped["handshake-flood"] += 1
        else:
            self._mux.dropped["not-webrtc"] += 1

    def checked(self, address: Address, nominated: bool, now: float) -> None:
        """A valid binding request came from `address`."""
        self.last_check = now
        self.addresses[address] = None
        self.addresses.move_to_end(address)
        if nominated or self.address is None:
            self.address = address
        if not self._ready.done():
            self._ready.set_result(None)

    def lost(self, address: Address) -> None:
        """Another peer has proven that it is at `address` now."""
        self.addresses.pop(address, None)
        if self.address == address:
            self.address = None

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.media_sink = None
        self._mux.forget(self)
        if not self._ready.done():
            self._ready.set_result(None)
        self._waiting.put_nowait(None)


class UdpMux(asyncio.DatagramProtocol):
    """The port. `open()` binds it; `link()` makes a place for one more peer."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._by_ufrag: dict[str, MuxLink] = {}
        self._by_address: dict[Address, MuxLink] = {}
        self._paused = False
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.port = 0
        self.dropped: Counter[str] = Counter()
        self.packets_in = 0
        self.packets_out = 0

    @classmethod
    async def open(cls, host: str, port: int) -> UdpMux:
        """Binds `host`:`port` (0: any free port); raises OSError."""
        return await cls.on(bind(host, port))

    @classmethod
    async def on(cls, sock: socket.socket) -> UdpMux:
        """Takes over a socket made by `bind`."""
        sock.setblocking(False)
        try:
            _, mux = await asyncio.get_running_loop().create_datagram_endpoint(cls, sock=sock)
        except BaseException:
            sock.close()
            raise
        return mux

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=SOCKET_BUFFER_BYTES)
        sock: Any = transport.get_extra_info("socket")
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # some systems refuse what is over their limit
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        self.port = transport.get_extra_info("sockname")[1]

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def error_received(self, error: Exception) -> None:
        """A peer's port answered that nobody is there; its consent will run out by itself."""
        self.dropped["unreachable"] += 1

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.packets_in += 1
        source: Address = (address[0], address[1])
        if not data:
            self.dropped["empty"] += 1
        elif data[0] < 4:
            self._stun(data, source)
        else:
            link = self._by_address.get(source)
            if link is None:
                self.dropped["unknown-address"] += 1
            else:
                link.datagram(data)

    def send(self, data: bytes, address: Address) -> None:
        if self._paused or self._transport is None or self._transport.is_closing():
            self.dropped["send-buffer-full"] += 1
            return
        self.packets_out += 1
        self._transport.sendto(data, address)

    def link(self) -> MuxLink:
        link = MuxLink(self)
        self._by_ufrag[link.ufrag] = link
        return link

    def forget(self, link: MuxLink) -> None:
        self._by_ufrag.pop(link.ufrag, None)
        for address in link.addresses:
            if self._by_address.get(address) is link:
                del self._by_address[address]

    def candidates(self, hosts: list[str]) -> list[Candidate]:
        """This port at each of `hosts` as ICE candidates, the first one preferred (RFC 8445 5.1.2)."""
        return [
            Candidate(host=h, port=self.port, priority=(126 << 24) + ((65535 - i) << 8) + 255)
            for i, h in enumerate(hosts)
        ]

    async def close(self) -> None:
        for link in list(self._by_ufrag.values()):
            link.close()
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def _stun(self, data: bytes, source: Address) -> None:
        try:
            request = stun.parse_message(data)
        except (ValueError, LookupError, TypeError, struct.error):
            self.dropped["stun-malformed"] += 1
            return
        if (
            request.message_class != stun.Class.REQUEST
            or request.message_method != stun.Method.BINDING
            or not isinstance(request.attributes.get("USERNAME"), str)
        ):
            self.dropped["stun-not-a-check"] += 1
            return
        link = self._by_ufrag.get(request.attributes["USERNAME"].partition(":")[0])
        if link is None or not _authentic(request, link.password):
            self.dropped["stun-not-authorised"] += 1
            return
        owner = self._by_address.get(source, link)
        if owner is not link and owner.address == source and self._loop.time() - owner.last_check < OWNER_S:
            self.dropped["address-taken"] += 1
            return
        if owner is not link:
            owner.lost(source)
        self._remember(link, source)
        link.checked(source, "USE-CANDIDATE" in request.attributes, self._loop.time())
        self.send(_success(request, source, link.password), source)

    def _remember(self, link: MuxLink, source: Address) -> None:
        self._by_address[source] = link
        while len(link.addresses) >= MAX_ADDRESSES_PER_PEER and source not in link.addresses:
            oldest = next(a for a in link.addresses if a != link.address)
            del link.addresses[oldest]
            if self._by_address.get(oldest) is link:
                del self._by_address[oldest]


def bind(host: str, port: int) -> socket.socket:
    """A UDP socket at `host`:`port` (0: any free port; "::" serves IPv4 too); raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _authentic(request: stun.Message, password: str) -> bool:
    return "MESSAGE-INTEGRITY" in request.attributes and request.check_message_integrity(password.encode())


def _success(request: stun.Message, source: Address, password: str) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.transaction_id,
    )
    # A socket for both families shows an IPv4 sender as ::ffff:a.b.c.d; the peer knows itself without that.
    host = source[0].removeprefix("::ffff:") if "." in source[0] else source[0]
    response.attributes["XOR-MAPPED-ADDRESS"] = (host, source[1])
    response.add_message_integrity(password.encode())  # adds FINGERPRINT too
    return bytes(response)
