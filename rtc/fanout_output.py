"""What leaves the Python twin: sealed, paced, queued, sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtc.fanout import COUNTERS, MAX_DATAGRAM
from rtc.fanout_outbox import Burst, Outbox
from rtc.fanout_outgoing import Outgoing
from rtc.fanout_peer import Peer
from rtc.fanout_socket import Datagram, Sockets, is_sockaddr
from rtc.srtp_session import SEALING_ROOM

#: Datagrams that wait for a socket which takes no more: 4,096 are 50 ms of 800 Mbit/s. More bridge a longer
#: stall and make everything behind it late; what comes on top is dropped and counted.
BACKLOG: Final = 4096
#: Datagrams that wait for `take`. More let the caller take less often, and cost 1.2 KB each.
TAKE_PACKETS: Final = 16384


class Output:
    """The queue of datagrams that are ready, and the peers for which some wait for their turn."""

    def __init__(self) -> None:
        self.counters: Final[dict[str, int]] = dict.fromkeys(COUNTERS, 0)
        self.outbox: Final = Outbox()
        self._taken: list[Datagram] = []
        self._waiting: dict[Peer, None] = {}  # in the order in which they began to wait

    def rtp(self, peer: Peer, plain: bytes, now: int) -> int:
        """Seals a packet as it is and sends it at once; bytes of the datagram, 0 when it was dropped."""
        size = self._seal(peer, plain)
        if size:
            peer.pacer.count(size, now)
            self._ready(peer.address, size)
        return size

    def send(self, peer: Peer, packet: Outgoing, now: int) -> int:
        """The same with a transport-wide number, which is then used up, and the time of sending."""
        if not packet.extensions.numbered:
            return self.rtp(peer, packet.plain(0, now), now)
        size = self._seal_outgoing(peer, packet, now)
        if size:
            peer.note_sent(now, (size,), packet.cluster)
            peer.pacer.count(size, now)
            self._ready(peer.address, size)
        return size

    def paced(self, peer: Peer, packet: Outgoing, now: int, *, first: bool = False) -> int:
        """The same for video: it waits if it must, before the media that waits if `first`. Bytes of the
        datagram that it is or will be."""
        if peer.pacer.passes(now):
            return self.send(peer, packet, now)
        return self.wait(peer, packet, packet.size(now), now, first=first)

    def wait(self, peer: Peer, packet: Outgoing, size: int, now: int, *, first: bool = False) -> int:
        """It waits for its turn; size: of the packet in the clear. Bytes of the datagram that it will be, 0
        when it is dropped."""
        pacer = peer.pacer
        if pacer.full:
            self.counters["pacer-full"] += 1
            return 0
        size += peer.tag
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
        if address:
            self.outbox.put(address, data)
        else:
            self.counters["unreachable"] += 1

    def _ready(self, address: bytes, size: int) -> None:
        """So is what was sealed in the outbox."""
        if address:
            self.outbox.add(address, (size,))
        else:
            self.counters["unreachable"] += 1

    def forget(self, peer: Peer) -> None:
        """What waits for it is dropped."""
        self._waiting.pop(peer, None)

    def flush(self, sockets: Sockets, fd: int, now: int) -> int:
        """Lets pass what is due, and sends what is ready; how many datagrams are left over."""
        for peer in list(self._waiting):
            self._release(peer, now)
        outbox, counters = self.outbox, self.counters
        bursts = outbox.bursts
        if not bursts:
            return 0
        if fd < 0:
            self._set_aside(bursts)
            bursts.clear()
        elif outbox.strange:
            self._set_aside(burst for burst in bursts if not is_sockaddr(burst.address))
            kept = [burst for burst in bursts if is_sockaddr(burst.address)]
            bursts.clear()
            bursts.extend(kept)
        outbox.strange = False
        if bursts:
            sent, octets, unreachable = sockets.send(fd, bursts)
            counters["sent"] += sent
            counters["sent-octets"] += octets
            counters["unreachable"] += unreachable
        left = outbox.waiting()
        if left > BACKLOG:
            counters["send-buffer-full"] += left - BACKLOG
            outbox.cut(left - BACKLOG)
            left = BACKLOG
        outbox.settle()
        return left

    def next_flush(self, now: int) -> int:
        """Microseconds until a paced packet is due, -1 for none."""
        return min((peer.pacer.due(now) for peer in self._waiting), default=-1)

    def take(self) -> list[Datagram]:
        taken, self._taken = self._taken, []
        return taken

    def _release(self, peer: Peer, now: int) -> None:
        """What waits for its turn and is due leaves."""
        pacer = peer.pacer
        while (packet := pacer.pop(now)) is not None:
            self.send(peer, packet, now)
        self.counters["pacer-late"] += pacer.late
        pacer.late = 0
        if not len(pacer):
            del self._waiting[peer]

    def _set_aside(self, bursts: Iterable[Burst]) -> None:
        for burst in bursts:
            for data in burst.datagrams():
                if len(self._taken) < TAKE_PACKETS:
                    self._taken.append((burst.address, data))
                    self.counters["sent"] += 1
                    self.counters["sent-octets"] += len(data)
                else:
                    self.counters["send-buffer-full"] += 1

    def _seal(self, peer: Peer, plain: bytes) -> int:
        """Puts it into the outbox sealed, where it waits for `_ready`; bytes of what it is then, or 0."""
        outbox, session, size = self.outbox, peer.sending, len(plain)
        sealed = 0
        if session is not None:
            outbox.make_room(size + SEALING_ROOM)
            outbox.memory.view[outbox.used : outbox.used + size] = plain
            sealed = session.seal_at(outbox.memory, outbox.used, size)
        if not sealed:
            self.counters["unsendable"] += 1
        return sealed

    def _seal_outgoing(self, peer: Peer, packet: Outgoing, now: int) -> int:
        """The same for a packet that takes a transport-wide number."""
        if packet.descriptor or peer.sending is None:
            return self._seal(peer, packet.plain(peer.next_number, now))
        first, second, sequence, timestamp, ssrc, extensions, level, _, payload, _ = packet
        pack, before, after, size = extensions.prefixes.get(level) or extensions.prefix(level, now)
        outbox, whole = self.outbox, size + len(payload)
        outbox.make_room(whole + SEALING_ROOM)
        memory, at, number = outbox.memory, outbox.used, peer.next_number
        pack(memory.data, at, first | 0x10, second, sequence, timestamp, ssrc, before, number, after)
        memory.view[at + size : at + whole] = payload
        sealed = peer.sending.seal_at(memory, at, whole)
        if not sealed:
            self.counters["unsendable"] += 1
        return sealed
