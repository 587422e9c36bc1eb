"""One UDP port for all peers of a server: the ICE-lite side (RFC 8445 section 2.5), over the forwarding
plane.

A STUN binding request names its peer by the user fragment and proves itself by the password. A new address
is then asked whether the peer really is there (rtc/address_proof.py); once it has answered, datagrams from
that address belong to that peer, and the request is answered too. A peer may move (Wi-Fi to cable): a valid
request that nominates brings its new address, with no new handshake. Nothing is sent to a peer whose last
valid request is too long ago (RFC 7675). Whatever is not understood is counted and dropped, never answered,
so the port cannot be used to reflect traffic.
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
from rtc.address_proof import AddressProofs
from rtc.fanout import DROP, FORWARD, TAKEN, Fanout, Kind, Record
from rtc.fanout_open import PlaneKind, open_fanout
from rtc.fanout_socket import is_sockaddr
from rtc.hand_over import HandOver
from rtc.mux_link import MuxLink
from rtc.port_candidates import port_candidates
from rtc.port_reader import PortIO, ReaderPort, open_io
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
#: Seconds without a valid check after which nothing is sent to a peer any more (RFC 7675 section 5.1), and
#: between two looks. Peers check every 5 s; longer floods for longer who has gone, less cuts off who had a
#: bad half minute.
CONSENT_S: Final = 30.0
CONSENT_LOOK_S: Final = 5.0
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
        self.hand_over: HandOver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing = self.held = False  # held: what is to be sent waits for `release`
        self._timer: asyncio.TimerHandle | None = None
        self._consent: asyncio.TimerHandle | None = None
        self._dropped: Counter[str] = Counter()
        self._proofs = AddressProofs()
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
        return await cls.on(
            bind(host, port, reuse_port=reuse_port), kind=kind, worker=worker, hand_over=hand_over
        )

    @classmethod
    async def on(
        cls,
        sock: socket.socket,
        kind: PlaneKind = "auto",
        *,
        worker: int | None = None,
        hand_over: str = "",
    ) -> UdpMux:
        """Takes over a socket made by `bind`; `kind` of plane as for `open_fanout`. Raises OSError."""
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # some systems refuse what is over their limit
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        host, port = sock.getsockname()[:2]
        try:
            mux = cls(open_fanout(kind))
        except BaseException:
            sock.close()
            raise
        mux._loop, mux.port = asyncio.get_running_loop(), port
        try:
            mux._io = await open_io(mux, sock)
            if worker is not None:
                mux.hand_over = HandOver(mux, hand_over, worker)
                mux._proofs = AddressProofs(worker)
            mux._tcp = await TcpMux.open(mux, host, port, shared=worker is not None)
        except BaseException:
            await mux.close()
            sock.close()
            raise
        mux._look_for_consent()
        return mux

    # Time and counts.

    def now(self) -> int:
        """Microseconds of the monotonic clock."""
        return int(self._clock() * 1e6)

    @property
    def dropped(self) -> Counter[str]:
        """Datagrams by the reason for which they were dropped."""
        counts = self.fanout.counters()
        dropped = Counter({name: value for name, value in counts.items() if value and name not in TAKEN})
        dropped.update(self._dropped)
        return dropped

    def count(self, reason: str) -> None:
        """One more was dropped."""
        self._dropped[reason] += 1

    @property
    def has_connections(self) -> bool:
        """Whether anybody ever came over TCP, so that there may be something for them."""
        return self._tcp is not None and self._tcp.used

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
        prefix = f"{self.hand_over.worker}x" if self.hand_over is not None else ""
        link = MuxLink(self, self.fanout.open_peer(), prefix + random_string(8), random_string(24))
        self._by_ufrag[link.ufrag] = self._by_peer[link.peer] = link
        return link

    def forget(self, link: MuxLink) -> None:
        """The link is closed."""
        self._by_ufrag.pop(link.ufrag, None)
        self._by_peer.pop(link.peer, None)
        self._proofs.forget(link)
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
        """This port at each of `hosts`, the first one preferred, over TCP behind those over UDP."""
        return port_candidates(hosts, self.port, tcp=self._tcp is not None)

    async def close(self) -> None:
        for link in list(self._by_ufrag.values()):
            link.close()
        for timer in (self._timer, self._consent):
            if timer is not None:
                timer.cancel()
        if self._tcp is not None:
            await self._tcp.close()
        if self.hand_over is not None:
            self.hand_over.close()
        if self._io is not None:
            await self._io.close()
        self.fanout.close()

    # Datagrams.

    def deliver(self, data: bytes, address: bytes) -> None:
        """One that did not come through the socket of the port."""
        now = self.now()
        self.take_in(self.fanout.deliver(data, address, now), now)
        self.wake()

    def adopt(self, sock: socket.socket, read: bytes) -> None:
        """A connection over TCP that another worker accepted, and what was read of it already."""
        if self._tcp is None:
            sock.close()
        else:
            self._tcp.adopt(sock, read)

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
        self._hear(now)

    def _hear(self, now: int) -> None:
        """Lets those look at feedback whose feedback says something."""
        for peer in self.fanout.heard():
            link = self._by_peer.get(peer)
            if link is None or link.feedback_sink is None:
                continue
            try:
                link.feedback_sink(now)
            except Exception:  # as for datagrams
                log.exception("feedback could not be handled")

    def _other(self, record: Record, data: bytes, address: bytes) -> None:
        if data[0] < 4:
            self.check(data, address)
            return
        link = self._by_peer.get(record.peer)
        if link is not None and not link.handshake(data):
            self._dropped["handshake-flood"] += 1

    def check(self, data: bytes, address: bytes) -> None:
        """A connectivity check from `address`, or the answer to one of ours: used if it is, else counted."""
        now = self._clock()
        try:
            if checks.is_answer(data):
                self._answered(data, address, now)
            else:
                self._asked(data, address, now)
        except checks.CheckError as reason:
            self._dropped[str(reason)] += 1

    def _asked(self, data: bytes, address: bytes, now: float) -> None:
        fragment = checks.user_fragment(data)
        link = self._by_ufrag.get(fragment)
        if link is None:
            if self._passed_on(fragment, data, address):
                return
            raise checks.CheckError("stun-not-authorised")
        if not link.may_check(address, now):
            raise checks.CheckError("stun-flood")
        request = checks.authentic(data, link.password)
        if link.remote is None or address in link.addresses:
            self._believe(link, address, request, request.nominates, now)
            return
        self._not_taken(link, address, now)
        self.fanout.send_to(address, self._proofs.ask(link, address, request, now))
        self.wake()

    def _answered(self, data: bytes, address: bytes, now: float) -> None:
        asked = self._proofs.answered(data, address, now)
        if asked is not None:
            self._believe(asked.link, address, asked.request, asked.nominated, now)
            return
        worker = self._proofs.worker_of(data)
        if worker is None or not self._passed_on(worker, data, address):
            raise checks.CheckError("stun-not-a-check")

    def _believe(
        self, link: MuxLink, address: bytes, request: checks.Check, nominated: bool, now: float
    ) -> None:
        """The peer is at `address`: its check is answered."""
        self._remember(link, address, now)
        link.checked(address, nominated, now)
        self.fanout.send_to(address, checks.success(request, self._seen_as(address), link.password))
        self.wake()

    def _passed_on(self, fragment: str, data: bytes, address: bytes) -> bool:
        # A connection is handed over as a whole; its key would mean something else to another worker.
        if self.hand_over is None or not is_sockaddr(address):
            return False
        return self.hand_over.pass_on(fragment, data, address)

    def _seen_as(self, address: bytes) -> tuple[str, int]:
        found = self._tcp.remote(address) if self._tcp is not None else None
        return found or unpack_address(address)

    def _remember(self, link: MuxLink, address: bytes, now: float) -> None:
        """The peer has proven that it is at `address`. Raises CheckError where it cannot be had there."""
        owner = self._by_address.get(address)
        if owner is not link:
            self._not_taken(link, address, now)
            if self.hand_over is not None and not self.hand_over.claim(address):
                raise checks.CheckError("unclaimed")  # its media would go elsewhere
            if owner is not None:
                owner.lost(address)
            self._by_address[address] = link
            self.fanout.route(address, link.peer)
            if self._tcp is not None:
                self._tcp.prove(address)
        while len(link.addresses) >= MAX_ADDRESSES_PER_PEER and address not in link.addresses:
            oldest = next(a for a in link.addresses if a != link.address)
            del link.addresses[oldest]
            self._unroute(oldest, link)

    def _not_taken(self, link: MuxLink, address: bytes, now: float) -> None:
        """Raises CheckError where another peer is."""
        owner = self._by_address.get(address)
        if owner is None or owner is link:
            return
        if owner.address == address and now - owner.last_check < OWNER_S:
            raise checks.CheckError("address-taken")

    def look_for_consent(self) -> None:
        """Ends what is sent to peers who have not asked for it for too long."""
        now = self._clock()
        for link in self._by_peer.values():
            if link.address is not None and now - link.last_check > CONSENT_S:
                link.unheard()
                self._dropped["unheard"] += 1

    def _look_for_consent(self) -> None:
        self.look_for_consent()
        if self._loop is not None:
            self._consent = self._loop.call_later(CONSENT_LOOK_S, self._look_for_consent)

    def _unroute(self, address: bytes, link: MuxLink) -> None:
        if self._by_address.get(address) is link:
            del self._by_address[address]
            self.fanout.route(address, -1)
            if self.hand_over is not None:
                self.hand_over.release(address)
            if self._tcp is not None:
                self._tcp.drop(address)

    # Sending.

    def wake(self) -> None:
        """Something is to be sent: once, at the end of this turn of the loop."""
        if not self._flushing and self._loop is not None:
            self._flushing = True
            if not self.held:
                self._loop.call_soon(self.flush)

    def release(self, *, some: bool) -> None:
        """Sends what was held back; `some`: there is something for sure."""
        self.held = False
        if some or self._flushing:
            self.flush()

    def flush(self) -> None:
        """Sends what is ready, and comes back when paced packets are due."""
        self._flushing = False
        if self._io is None or self._loop is None or self._io.closed:
            return
        now = self.now()
        others = self._io.flush(now)
        if others and self._tcp is not None:
            self._tcp.write(others)
        wait = self.fanout.next_flush(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait >= 0:
            # Not sooner than a millisecond: a timer for each packet would cost more than it smooths.
            self._timer = self._loop.call_later(max(wait, 1000) / 1e6, self.flush)
