"""What the Python twin of the forwarding plane knows of a peer and of the streams that come from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rtc import dependency_descriptor
from rtc.congestion.observer import PathObserver
from rtc.dependency_descriptor import Structure
from rtc.errors import PacketError
from rtc.fanout import (
    ARRIVALS,
    CACHE_PACKETS,
    SENT_PACKETS,
    Codec,
    ExtensionIds,
    Flag,
    SentPacket,
    StreamPlan,
    StreamStatistics,
)
from rtc.fanout_outgoing import Outgoing
from rtc.observation import FEEDBACKS_PER_SECOND
from rtc.pacer import Pacer
from rtc.packet_reader import Packet, become_original, read_payload
from rtc.srtp_session import Session

if TYPE_CHECKING:
    from rtc.fanout_destination import Destination

_EMPTY: Final = int(Flag.EMPTY)
_REPAIRED: Final = int(Flag.REPAIRED)


class Bucket:
    """So many a second, and as many at once; the level is in packet-microseconds."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._level = rate * 1_000_000
        self._at = 0

    def take(self, now: int) -> bool:
        """True when one more is within the limit."""
        rate = self._rate
        if now > self._at:
            self._level = min(rate * 1_000_000, self._level + (now - self._at) * rate)
            self._at = now
        if self._level < 1_000_000:
            return False
        self._level -= 1_000_000
        return True


class Peer:
    """One encrypted path: keys, address, numbers, what waits for it and what it sent lately."""

    __slots__ = (
        "_noted",
        "_sent",
        "address",
        "arrivals",
        "cache",
        "cache_count",
        "destinations",
        "feedbacks",
        "handle",
        "ids",
        "listened",
        "next_number",
        "observer",
        "others",
        "pacer",
        "receiving",
        "sending",
        "ssrcs",
        "streams",
        "tag",
        "unlocked",
    )

    def __init__(self, handle: int, others: Bucket) -> None:
        self.handle: Final = handle
        self.ids = ExtensionIds()
        self.address = b""
        self.receiving: Session | None = None
        self.sending: Session | None = None
        self.tag = 0  # bytes that sealing adds
        self.unlocked: set[int] = set()  # SSRCs that authenticated
        self.others: Final = others
        self.pacer: Final[Pacer[Outgoing]] = Pacer()
        self.ssrcs: Final[dict[int, Stream]] = {}  # media and repair
        self.streams: Final[dict[int, Stream]] = {}
        self.destinations: Final[dict[int, Destination]] = {}
        self.arrivals: Final[deque[tuple[int, int]]] = deque(maxlen=ARRIVALS)
        self.cache: Final[list[Packet | None]] = [None] * CACHE_PACKETS
        self.cache_count = 0  # ever put in
        self.next_number = 0  # transport-wide
        self.feedbacks: Final = Bucket(FEEDBACKS_PER_SECOND)
        self.observer: Final = PathObserver()
        self.listened = False  # somebody looks at its feedback
        self._sent: list[tuple[int, int, int] | None] = []  # by number modulo SENT_PACKETS, once there is one
        self._noted = 0  # ever

    def keep(self, packet: Packet) -> int:
        """Puts a packet into the ring, once; its place among all that ever were put in."""
        if packet.cached < 0:
            packet.cached = self.cache_count
            self.cache[self.cache_count % CACHE_PACKETS] = packet
            self.cache_count += 1
        return packet.cached

    def kept(self, place: int) -> Packet | None:
        """The packet, or None when the ring went round or the peer has gone."""
        return self.cache[place % CACHE_PACKETS] if self.cache_count - place <= CACHE_PACKETS else None

    def forget(self) -> None:
        """The peer goes: nothing of what it sent is repaired any more."""
        self.cache[:] = [None] * CACHE_PACKETS

    def note_sent(self, time: int, sizes: Sequence[int], cluster: int = 0) -> None:
        """Packets of those sizes took the next transport-wide numbers and left."""
        sent, number = self._sent or self._first_sent(), self.next_number
        for size in sizes:
            sent[number % SENT_PACKETS] = time, size, cluster
            number += 1
        self._noted += len(sizes)
        self.next_number = number & 0xFFFF

    def _first_sent(self) -> list[tuple[int, int, int] | None]:
        self._sent = [None] * SENT_PACKETS
        return self._sent

    def sent(self, number: int) -> SentPacket | None:
        """What left under that number (16 bits), None where nothing has yet or it is too long ago."""
        if (self.next_number - 1 - number) & 0xFFFF >= min(self._noted, SENT_PACKETS):
            return None
        entry = self._sent[number % SENT_PACKETS]
        return None if entry is None else SentPacket(*entry)


class Stream:
    """What arrives under one SSRC, and the destinations that are aimed at it, in that order."""

    __slots__ = (
        "_active",
        "_statistics",
        "_structure",
        "_transit",
        "clock",
        "destinations",
        "handle",
        "peer",
        "plan",
        "rtx_ssrc",
    )

    def __init__(self, handle: int, peer: Peer, plan: StreamPlan) -> None:
        self.handle, self.peer, self.plan = handle, peer, plan
        self.rtx_ssrc = plan.rtx_ssrc
        self.clock: tuple[int, int] | None = None  # sender's time in microseconds, timestamp
        self.destinations: dict[Destination, None] = {}
        self._structure: Structure | None = None
        self._active = 0
        self._transit: int | None = None
        self._statistics = StreamStatistics(0, 0, 0, 0, 0, 0)

    @property
    def statistics(self) -> StreamStatistics:
        return self._statistics

    def take(self, packet: Packet, now: int) -> None:
        """Reads a packet as this stream's and counts it; one whose payload type it does not know stays as
        it is. Raises PacketError for a payload descriptor that ends too soon, and then leaves the packet."""
        plan = self.plan
        repaired = packet.payload_type in plan.rtx_types
        if packet.ssrc != plan.ssrc and not repaired:
            return
        payload_type = plan.rtx_types[packet.payload_type] if repaired else packet.payload_type
        codec = plan.codecs.get(payload_type)
        if codec is None:
            return
        if repaired and len(packet.payload) < 2:
            packet.flags |= _EMPTY | _REPAIRED
            packet.stream, packet.codec = self.handle, int(codec)
            return
        if repaired:
            become_original(packet, payload_type, plan.ssrc)
        packet.codec = int(codec)
        if packet.descriptor_value and codec in (Codec.VP9, Codec.AV1) and not packet.flags & _EMPTY:
            try:
                packet.descriptor = dependency_descriptor.read(
                    packet.descriptor_value, self._structure, self._active
                )
            except PacketError:
                packet.descriptor = None
        read_payload(packet)
        packet.stream = self.handle
        descriptor = packet.descriptor
        if descriptor is not None and descriptor.start:
            self._structure, self._active = descriptor.structure, descriptor.active
        self._count(packet, repaired, now)

    def _count(self, packet: Packet, repaired: bool, now: int) -> None:
        """RFC 3550 appendices A.1, A.3 and A.8 on integers."""
        before = self._statistics
        packets, octets = before.packets + 1, before.octets + len(packet.payload)
        if repaired:
            self._statistics = before._replace(packets=packets, octets=octets)
            return
        transit = (now * self.plan.clock_rate // 1_000_000 - packet.timestamp) & 0xFFFFFFFF
        if self._transit is None:
            base = highest = packet.sequence
            jitter = 0
        else:
            base, highest, jitter = before.base_sequence, before.highest_sequence, before.jitter_q4
            ahead = (packet.sequence - highest) & 0xFFFF
            if ahead < 0x8000:
                highest += ahead
            change = (transit - self._transit) & 0xFFFFFFFF
            if change >= 0x80000000:
                change = 0x100000000 - change
            jitter += change - ((jitter + 8) >> 4)
        self._transit = transit
        self._statistics = StreamStatistics(packets, octets, base, highest, jitter, now)
