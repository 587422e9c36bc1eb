"""What leaves the Python twin: sealed, paced, queued, sent."""

from __future__ import annotations

from collections import deque
from typing import Final

from rtc.fanout import COUNTERS, MAX_DATAGRAM
from rtc.fanout_outgoing import Outgoing
from rtc.fanout_peer import Peer
from rtc.fanout_socket import Datagram, Sockets, is_sockaddr

#: Datagrams that wait for a socket which takes no more: 4,096 are 50 ms of 800 Mbit/s. More bridge a longer
#: stall and make everything behind it late; what comes on top is dropped and counted.
BACKLOG: Final = 4096
#: Datagrams that wait for `take`. More let the caller take less often, and cost 1.2 KB each.
TAKE_PACKETS: Final = 16384


class Output:
    """The queue of datagrams that are ready, and the peers for which some wait for their turn."""

    def __init__(self) -> None:
        self.counters: Final[dict[str, int]] = dict.fromkeys(COUNTERS, 0)
        self._ready: deque[Datagram] = deque()
        self._strange = 0  # of them, those that no socket takes
        self._taken: list[Datagram] = []
        self._waiting: dict[Peer, None] = {}  # in the order in which they began to wait

    def rtp(self, peer: Peer, plain: bytes, now: int) -> int:
        """Seals a packet as it is and sends it at once; bytes of the datagram, 0 when it was dropped."""
        data = self._seal(peer, plain)
        if data is None:
            return 0
        peer.pacer.count(len(data), now)
        self.queue(peer.address, data)
        return len(data)

    def send(self, peer: Peer, packet: Outgoing, now: int) -> int:
        """The same with a transport-wide number, which is then used up, and the time of sending."""
        data = self._seal(peer, packet.plain(peer.next_number, now))
        if data is None:
            return 0
        size = len(data)
        if packet.extensions.numbered:
            peer.note_sent(now, size, packet.cluster)
        peer.pacer.count(size, now)
        self.queue(peer.address, data)
        return size

    def paced(self, peer: Peer, packet: Outgoing, now: int, *, first: bool = False) -> int:
        """The same for video: it waits if it must, before the media that waits if `first`. Bytes of the
        datagram that it is or will be."""
        pacer = peer.pacer
        if pacer.passes(now):
            return self.send(peer, packet, now)
        if pacer.full:
            self.counters["pacer-full"] += 1
            return 0
        size = len(packet.plain(0, now)) + peer.tag
        if peer.sending is None or size > MAX_DATAGRAM:
            self.counters["unsendable"] += 1
            return 0
        pacer.wait(packet, now, first=first)
        self._waiting[peer] = None
        return size

    def rtcp(self, peer: Peer, plain: bytes, now: int) -> None:
        data = None if peer.sending is None else peer.sending.seal_rtcp(plain)
        if data is None:
            self.counters["unsendable"] += 1
            return
        peer.pacer.count(len(data), now)
        self.queue(peer.address, data)

    def queue(self, address: bytes, data: bytes) -> None:
        """A datagram is ready; b"" is nowhere."""
        if not address:
            self.counters["unreachable"] += 1
            return
        if not is_sockaddr(address):
            self._strange += 1
        self._ready.append((address, data))

    def forget(self, peer: Peer) -> None:
        """What waits for it is dropped."""
        self._waiting.pop(peer, None)

    def flush(self, sockets: Sockets, fd: int, now: int) -> int:
        """Lets pass what is due, and sends what is ready; how many datagrams are left over."""
        for peer in list(self._waiting):
            pacer = peer.pacer
            while (packet := pacer.pop(now)) is not None:
                self.send(peer, packet, now)
            self.counters["pacer-late"] += pacer.late
            pacer.late = 0
            if not len(pacer):
                del self._waiting[peer]
        ready, counters = self._ready, self.counters
        if not ready:
            return 0
        if fd < 0:
            self._set_aside(ready)
            ready.clear()
            self._strange = 0
            return 0
        if self._strange:
            self._set_aside([entry for entry in ready if not is_sockaddr(entry[0])])
            self._ready = ready = deque(entry for entry in ready if is_sockaddr(entry[0]))
            self._strange = 0
        sent, octets, unreachable = sockets.send(fd, ready)
        counters["sent"] += sent
        counters["sent-octets"] += octets
        counters["unreachable"] += unreachable
        while len(ready) > BACKLOG:
            ready.pop()
            counters["send-buffer-full"] += 1
        return len(ready)

    def next_flush(self, now: int) -> int:
        """Microseconds until a paced packet is due, -1 for none."""
        return min((peer.pacer.due(now) for peer in self._waiting), default=-1)

    def take(self) -> list[Datagram]:
        taken, self._taken = self._taken, []
        return taken

    def _set_aside(self, datagrams: deque[Datagram] | list[Datagram]) -> None:
        for entry in datagrams:
            if len(self._taken) < TAKE_PACKETS:
                self._taken.append(entry)
                self.counters["sent"] += 1
                self.counters["sent-octets"] += len(entry[1])
            else:
                self.counters["send-buffer-full"] += 1

    def _seal(self, peer: Peer, plain: bytes) -> bytes | None:
        data = None if peer.sending is None else peer.sending.seal_rtp(plain)
        if data is None:
            self.counters["unsendable"] += 1
        return data
