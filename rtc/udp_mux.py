"""One UDP port for all peers of a server: the ICE-lite side (RFC 8445 section 2.5), over the forwarding
plane.

A STUN binding request names its peer by the user fragment and proves itself by the password; from then on
datagrams from that address belong to that peer. A peer may move (Wi-Fi to cable): the next valid request
that nominates brings its new address, with no new handshake. Whatever is not understood is counted and
dropped, never answered, so the port cannot be used to reflect traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from aioice.utils import random_string

from rtc import checks
from rtc.fanout import DROP, FORWARD, Fanout, Kind, Record
from rtc.fanout_open import PlaneKind, open_fanout
from rtc.hand_over import HandOver
from rtc.mux_link import MuxLink
from rtc.port_reader import EndpointPort, PortIO, ReaderPort
from rtc.sdp import Candidate
from rtc.socket_address import bind, unpack_address
from rtc.tcp_mux import TcpMux

__all__ = ["DROP", "FORWARD", "MuxLink", "UdpMux", "bind"]

log = logging.getLogger(__name__)

#: Kernel buffers in bytes. A key frame to 50 receivers is 1.5 MB at once; smaller loses packets then,
#: larger adds delay when the machine is too slow.
SOCKET_BUFFER_BYTES: Final = 4 << 20
#: Addresses kept per peer. More lets a peer with many interfaces switch faster; each costs a table entry.
MAX_ADDRESSES_PER_PEER: Final = 8
#: Seconds since its last check for which an address stays with its peer, so that nobody who forges a sender
#: takes another's path. More keeps a reused address out longer; less than a check interval leaves it open.
OWNER_S: Final = 30.0
#: As plain numbers: these are looked at for every datagram.
RTP, RTCP = int(Kind.RTP), int(Kind.RTCP)


class UdpMux:
    """The port. `open()` binds it; `link()` makes a place for one more peer."""

    def __init__(self, fanout: Fanout, clock: Callable[[], float] = time.monotonic) -> None:
        self.fanout = fanout
        self._clock = clock
        self._by_ufrag: dict[str, MuxLink] = {}
        self._by_address: dict[bytes, MuxLink] = {}
        self._by_peer: dict[int, MuxLink] = {}
        self._io: PortIO | None = None
        self._tcp: TcpMux | None = None
        self._hand_over: HandOver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._dropped: Counter[str] = Counter()
        self.port = 0

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        *,
        kind: PlaneKind = "auto",
        reuse_port: bool = False,
        worker: int | None = None,
        hand_over: str = "",
    ) -> UdpMux:
        """Binds `host`:`port` (0: any free port); raises OSError. With `reuse_port` it shares the address
        with other workers, who hand over to each other through sockets in the folder `hand_over`."""
        mux = await cls.on(bind(host, port, reuse_port=reuse_port), kind=kind)
        if worker is not None:
            mux._hand_over = await HandOver.open(mux, hand_over, worker)
        return mux

    @classmethod
    async def on(cls, sock: socket.socket, kind: PlaneKind = "auto") -> UdpMux:
        """Takes over a socket made by `bind`; `kind` of plane as for `open_fanout`."""
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # some systems refuse what is over their limit
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        try:
            mux = cls(open_fanout(kind))
            mux._loop = asyncio.get_running_loop()
            mux.port = sock.getsockname()[1]
            try:
                mux._io = ReaderPort(mux, sock)
            except NotImplementedError:  # Windows' loop of its own
                mux._io = await EndpointPort.open(mux, sock)
            mux._tcp = await TcpMux.open(mux, sock.getsockname()[0], mux.port)
        except BaseException:
            sock.close()
            raise
        return mux

    # Time and counts.

    def now(self) -> int:
        """Microseconds of the monotonic clock."""
        return int(self._clock() * 1e6)

    @property
    def dropped(self) -> Counter[str]:
        """Datagrams by the reason for which they were dropped."""
        counts = self.fanout.counters()
        taken = ("received", "sent", "forwarded", "repairs", "probes", "received-octets", "sent-octets")
        dropped = Counter({name: value for name, value in counts.items() if value and name not in taken})
        dropped.update(self._dropped)
        return dropped

    @property
    def reader(self) -> ReaderPort | None:
        """The socket's reader, where the plane reads the socket itself."""
        return self._io if isinstance(self._io, ReaderPort) else None

    @property
    def packets_in(self) -> int:
        return self.fanout.counters()["received"]

    @property
    def packets_out(self) -> int:
        return self.fanout.counters()["sent"]

    # Peers.

    def link(self) -> MuxLink:
        """A place for one more peer."""
        prefix = f"{self._hand_over.worker}x" if self._hand_over is not None else ""
        link = MuxLink(self, self.fanout.open_peer(), prefix + random_string(8), random_string(24))
        self._by_ufrag[link.ufrag] = self._by_peer[link.peer] = link
        return link

    def forget(self, link: MuxLink) -> None:
        """The link is closed."""
        self._by_ufrag.pop(link.ufrag, None)
        self._by_peer.pop(link.peer, None)
        for address in link.addresses:
            self._unroute(address, link)
        self.fanout.close_peer(link.peer)

    def leave(self, address: bytes) -> None:
        """Nobody is at this address any more: its connection has ended."""
        link = self._by_address.get(address)
        if link is not None:
            link.lost(address)
            self._unroute(address, link)

    def candidates(self, hosts: list[str]) -> list[Candidate]:
        """This port at each of `hosts` as ICE candidates, the first one preferred (RFC 8445 5.1.2), over TCP
        behind those over UDP (RFC 6544 section 4.2)."""
        found = [
            Candidate(host=h, port=self.port, priority=(126 << 24) + ((65535 - i) << 8) + 255)
            for i, h in enumerate(hosts)
        ]
        if self._tcp is not None:
            found += [
                Candidate(
                    host=h,
                    port=self.port,
                    priority=(90 << 24) + ((65535 - i) << 8) + 255,
                    foundation="2",
                    protocol="tcp",
                    tcp_type="passive",
                )
                for i, h in enumerate(hosts)
            ]
        return found

    async def close(self) -> None:
        for link in list(self._by_ufrag.values()):
            link.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._tcp is not None:
            await self._tcp.close()
        if self._hand_over is not None:
            self._hand_over.close()
        if self._io is not None:
            await self._io.close()
        self.fanout.close()

    # Datagrams.

    def deliver(self, data: bytes, address: bytes) -> None:
        """One that did not come through the socket of the port."""
        now = self.now()
        self.take_in(self.fanout.deliver(data, address, now), now)
        self.wake()

    def take_in(self, records: Sequence[Record], now: int) -> None:
        """Lets everybody concerned decide about a batch, and forwards it."""
        verdicts = bytearray(len(records))
        links = self._by_peer
        for index, record in enumerate(records):
            kind = record.kind
            try:
                if kind == RTP:
                    link = links.get(record.peer)
                    if link is not None and link.media_sink is not None:
                        verdicts[index] = link.media_sink(record, index, now)
                elif kind == RTCP:
                    link = links.get(record.peer)
                    if link is not None and link.rtcp_sink is not None:
                        link.rtcp_sink(self.fanout.packet(index), now)
                else:
                    self._other(record, self.fanout.packet(index), self.fanout.address(index))
            except Exception:  # one odd datagram must not stop the port for everybody
                log.exception("a datagram could not be handled")
        if FORWARD in verdicts:
            self.fanout.forward(bytes(verdicts), now)

    def _other(self, record: Record, data: bytes, address: bytes) -> None:
        if data[0] < 4:
            self.check(data, address)
            return
        link = self._by_peer.get(record.peer)
        if link is not None and not link.handshake(data):
            self._dropped["handshake-flood"] += 1

    def check(self, data: bytes, address: bytes) -> None:
        """A connectivity check from `address`: answered if it is one, else counted."""
        try:
            fragment = checks.user_fragment(data)
            link = self._by_ufrag.get(fragment)
            if link is None:
                if self._hand_over is not None and self._hand_over.pass_on(fragment, data, address):
                    return
                raise checks.CheckError("stun-not-authorised")
            if not link.may_check(self._clock()):
                raise checks.CheckError("stun-flood")
            request = checks.authentic(data, link.password)
        except checks.CheckError as reason:
            self._dropped[str(reason)] += 1
            return
        owner = self._by_address.get(address, link)
        now = self._clock()
        if owner is not link:
            if owner.address == address and now - owner.last_check < OWNER_S:
                self._dropped["address-taken"] += 1
                return
            owner.lost(address)
        self._remember(link, address)
        link.checked(address, checks.nominates(request), now)
        self.fanout.send_to(address, checks.success(request, self._seen_as(address), link.password))
        self.wake()

    def _seen_as(self, address: bytes) -> tuple[str, int]:
        if self._tcp is not None and (found := self._tcp.remote(address)) is not None:
            return found
        return unpack_address(address)

    def _remember(self, link: MuxLink, address: bytes) -> None:
        if self._by_address.get(address) is not link:
            self._by_address[address] = link
            self.fanout.route(address, link.peer)
            if self._hand_over is not None:
                self._hand_over.claim(address)
        while len(link.addresses) >= MAX_ADDRESSES_PER_PEER and address not in link.addresses:
            oldest = next(a for a in link.addresses if a != link.address)
            del link.addresses[oldest]
            self._unroute(oldest, link)

    def _unroute(self, address: bytes, link: MuxLink) -> None:
        if self._by_address.get(address) is link:
            del self._by_address[address]
            self.fanout.route(address, -1)
            if self._hand_over is not None:
                self._hand_over.release(address)

    # Sending.

    def wake(self) -> None:
        """Something is to be sent: once, at the end of this turn of the loop."""
        if not self._flushing and self._loop is not None:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends what is ready, and comes back when paced packets are due."""
        self._flushing = False
        if self._io is None or self._loop is None or self._io.closed:
            return
        now = self.now()
        self._io.flush(now)
        if self._tcp is not None and self._tcp.connections:
            self._tcp.write(self.fanout.take())
        wait = self.fanout.next_flush(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait >= 0:
            # Not sooner than a millisecond: a timer for each packet would cost more than it smooths.
            self._timer = self._loop.call_later(max(wait, 1000) / 1e6, self.flush)
