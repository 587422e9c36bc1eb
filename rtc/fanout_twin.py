"""The forwarding plane in Python: the reference for the kernel in C, and used where that is not built.

docs/fanout.md tells the rules that both follow to the letter; tests/rtc/test_fanout_differential.py compares
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

from rtc.errors import PacketError
from rtc.fanout import (
    FORWARD,
    MAX_DATAGRAM,
    MAX_INCOMING_SSRCS,
    OTHERS_PER_SECOND,
    STRANGERS_PER_SECOND,
    DestinationPlan,
    DestinationState,
    ExtensionIds,
    Kind,
    MasterKey,
    Profile,
    Record,
    SentPacket,
    StreamPlan,
    StreamStatistics,
)
from rtc.fanout_destination import Destination
from rtc.fanout_feedback import Feedback
from rtc.fanout_output import Output
from rtc.fanout_peer import Bucket, Peer, Stream
from rtc.fanout_plans import check_address, check_destination, check_ids, check_pace, check_ssrc, check_stream
from rtc.fanout_run import Run
from rtc.fanout_socket import Sockets
from rtc.handles import Table
from rtc.observation import Attention, Observation
from rtc.packet_reader import Packet, has_room, read_header
from rtc.rtcp import is_receiver_report
from rtc.srtp_session import ClearSession, SrtpSession

_RTP: Final = int(Kind.RTP)


class PythonFanout:
    """See rtc.fanout.Fanout. clear: nothing is encrypted and no keys are needed, for tests only."""

    def __init__(self, *, clear: bool = False) -> None:
        self._clear: Final = clear
        self._minimum_rtcp: Final = 8 if clear else 12
        self._peers: Final[Table[Peer]] = Table()
        self._streams: Final[Table[Stream]] = Table()
        self._destinations: Final[Table[Destination]] = Table()
        self._routes: Final[dict[bytes, Peer]] = {}
        self._strangers: Final = Bucket(STRANGERS_PER_SECOND)
        self._batch: list[Packet] = []
        self._output: Final = Output()
        self._counters: Final = self._output.counters
        self._feedback: Final = Feedback(self._counters)
        self._sockets: Final = Sockets()

    # Peers.

    def open_peer(self) -> int:
        peer = Peer(self._peers.next(), Bucket(OTHERS_PER_SECOND))
        if self._clear:
            peer.receiving = peer.sending = ClearSession()
        return self._peers.put(peer)

    def set_keys(self, peer: int, profile: Profile, receive: MasterKey, send: MasterKey) -> None:
        entry = self._peers.get(peer)
        receiving = SrtpSession(profile, receive, inbound=True)
        sending = SrtpSession(profile, send, inbound=False)
        if not self._clear:
            entry.receiving, entry.sending = receiving, sending
            entry.tag = profile.tag_bytes
        entry.unlocked.clear()

    def set_extensions(self, peer: int, ids: ExtensionIds) -> None:
        entry = self._peers.get(peer)
        check_ids(ids)
        entry.ids = ids
        for destination in entry.destinations.values():
            destination.lay_out()

    def route(self, address: bytes, peer: int) -> None:
        check_address(address)
        if peer == -1:
            self._routes.pop(address, None)
        else:
            self._routes[address] = self._peers.get(peer)

    def set_address(self, peer: int, address: bytes) -> None:
        if address:
            check_address(address)
        self._peers.get(peer).address = address

    def set_pace(self, peer: int, rate: int) -> None:
        check_pace(rate)
        self._peers.get(peer).pacer.rate = rate

    def close_peer(self, peer: int) -> None:
        entry = self._peers.get(peer)
        for stream in list(entry.streams):
            self.close_stream(stream)
        for destination in list(entry.destinations):
            self.close_destination(destination)
        for address in [address for address, owner in self._routes.items() if owner is entry]:
            del self._routes[address]
        self._feedback.forget(peer)
        self._output.forget(entry)
        entry.forget()
        self._peers.pop(peer)

    # Streams and destinations.

    def open_stream(self, peer: int, plan: StreamPlan) -> int:
        entry = self._peers.get(peer)
        check_stream(plan)
        if plan.ssrc in entry.ssrcs or (plan.rtx_ssrc and plan.rtx_ssrc in entry.ssrcs):
            raise ValueError("the SSRC is that of another stream")
        stream = Stream(self._streams.next(), entry, plan)
        entry.ssrcs[plan.ssrc] = stream
        if plan.rtx_ssrc:
            entry.ssrcs[plan.rtx_ssrc] = stream
        entry.streams[stream.handle] = stream
        return self._streams.put(stream)

    def set_repair_ssrc(self, stream: int, rtx_ssrc: int) -> None:
        entry = self._streams.get(stream)
        check_ssrc(rtx_ssrc)
        ssrcs = entry.peer.ssrcs
        if rtx_ssrc == entry.rtx_ssrc:
            return
        if rtx_ssrc and rtx_ssrc in ssrcs:
            raise ValueError("the SSRC is that of another stream")
        if entry.rtx_ssrc:
            del ssrcs[entry.rtx_ssrc]
        entry.rtx_ssrc = rtx_ssrc
        if rtx_ssrc:
            ssrcs[rtx_ssrc] = entry

    def set_clock(self, stream: int, sender_time: int, timestamp: int) -> None:
        self._streams.get(stream).clock = sender_time, timestamp

    def restart_stream(self, stream: int) -> None:
        entry = self._streams.get(stream)
        for destination in entry.destinations:
            destination.restart(entry)

    def close_stream(self, stream: int) -> None:
        entry = self._streams.pop(stream)
        for destination in entry.destinations:
            destination.lose(entry)
        del entry.peer.streams[stream], entry.peer.ssrcs[entry.plan.ssrc]
        if entry.rtx_ssrc:
            del entry.peer.ssrcs[entry.rtx_ssrc]
        for packet in self._batch:
            if packet.stream == stream:
                packet.stream = -1

    def open_destination(self, peer: int, plan: DestinationPlan) -> int:
        entry = self._peers.get(peer)
        check_destination(plan)
        destination = Destination(self._destinations.next(), entry, plan, self._output)
        entry.destinations[destination.handle] = destination
        return self._destinations.put(destination)

    def aim(
        self, destination: int, stream: int, *, spatial: int = 7, temporal: int = 7, cut: bool = False
    ) -> None:
        if not (0 <= spatial <= 7 and 0 <= temporal <= 7):
            raise ValueError("a layer is 0 to 7")
        entry = self._destinations.get(destination)
        entry.aim(None if stream == -1 else self._streams.get(stream), spatial, temporal, cut)

    def close_destination(self, destination: int) -> None:
        entry = self._destinations.pop(destination)
        entry.aim(None, 7, 7, True)
        del entry.peer.destinations[destination]

    # Packets in.

    def receive(self, fd: int, now: int) -> Sequence[Record]:
        return self._take_in(self._sockets.receive(fd), now)

    def deliver(self, data: bytes, address: bytes, now: int) -> Sequence[Record]:
        check_address(address)
        return self._take_in([(address, data)], now)

    def adopt(self, index: int, stream: int, now: int) -> Record:
        packet, entry = self._at(index), self._streams.get(stream)
        mine = packet.kind == _RTP and packet.peer == entry.peer.handle
        if mine and packet.stream == -1 and entry.peer.ssrcs.get(packet.ssrc) is entry:
            try:
                entry.take(packet, now)
            except PacketError:
                self._counters["malformed"] += 1
        return packet.record()

    def packet(self, index: int) -> bytes:
        return self._at(index).data

    def address(self, index: int) -> bytes:
        return self._at(index).address

    def _at(self, index: int) -> Packet:
        if not 0 <= index < len(self._batch):
            raise ValueError("the batch has no such record")
        return self._batch[index]

    def _take_in(self, datagrams: list[tuple[bytes, bytes]], now: int) -> Sequence[Record]:
        self._batch = batch = []
        self._counters["received"] += len(datagrams)
        self._counters["received-octets"] += sum(len(data) for _, data in datagrams)
        for address, data in datagrams:
            packet = self._read(data, address, now)
            if isinstance(packet, str):
                if packet:
                    self._counters[packet] += 1
            else:
                batch.append(packet)
        return [packet.record() for packet in batch]

    def _read(self, data: bytes, address: bytes, now: int) -> Packet | str:
        """The packet, or the name of the counter for what is dropped, "" for what is done with."""
        if not data:
            return "malformed"
        if len(data) > MAX_DATAGRAM:
            return "too-long"
        peer, first = self._routes.get(address), data[0]
        if 128 <= first < 192:
            return "unknown-address" if peer is None else self._read_media(data, address, peer, now)
        if first >= 4 and not 20 <= first < 64:
            return "malformed"
        if peer is not None:
            return Packet(Kind.OTHER, data, address, peer.handle) if peer.others.take(now) else "others"
        if first >= 4:
            return "unknown-address"
        return Packet(Kind.OTHER, data, address, -1) if self._strangers.take(now) else "strangers"

    def _read_media(self, data: bytes, address: bytes, peer: Peer, now: int) -> Packet | str:
        session = peer.receiving
        if session is None:
            return "media-before-keys"
        rtcp = len(data) > 1 and 192 <= data[1] < 224
        if not (len(data) >= self._minimum_rtcp if rtcp else has_room(data, 12)):
            return "malformed"
        ssrc = int.from_bytes(data[4:8] if rtcp else data[8:12], "big")
        known = ssrc in peer.unlocked
        if not known and len(peer.unlocked) >= MAX_INCOMING_SSRCS:
            return "too-many-streams"
        opened = session.open_rtcp(data) if rtcp else session.open_rtp(data)
        if opened is None:
            return "srtp"
        if not known:
            peer.unlocked.add(ssrc)
        packet = Packet(Kind.RTCP if rtcp else Kind.RTP, opened, address, peer.handle)
        if rtcp:
            return self._read_rtcp(packet, peer, now)
        try:
            read_header(packet, peer.ids)
            if packet.transport_wide is not None:
                peer.arrivals.append((packet.transport_wide, now))
            stream = peer.ssrcs.get(ssrc)
            if stream is not None:
                stream.take(packet, now)
        except PacketError:
            return "malformed"
        return packet

    def _read_rtcp(self, packet: Packet, peer: Peer, now: int) -> Packet | str:
        if peer.listened and is_receiver_report(packet.data):
            return "reports"
        try:
            return "" if self._feedback.take(peer, packet.data, now) else packet
        except PacketError:
            return "malformed"

    # Packets out.

    def forward(self, verdicts: bytes, now: int) -> None:
        batch = self._batch
        if len(verdicts) != len(batch):
            raise ValueError("there is one verdict for each record")
        run: list[Packet] = []
        for verdict, packet in zip(verdicts, batch, strict=True):
            forwarded = verdict == FORWARD and packet.stream >= 0
            if run and (not forwarded or packet.stream != run[0].stream):
                self._forward_run(run, now)
                run = []
            if forwarded:
                run.append(packet)
        if run:
            self._forward_run(run, now)

    def _forward_run(self, run: list[Packet], now: int) -> None:
        stream, whole = self._streams.get(run[0].stream), Run(run)
        for destination in stream.destinations:
            destination.forward_run(whole, stream, now)

    def repair(self, destination: int, sequences: Sequence[int], now: int) -> int:
        entry = self._destinations.get(destination)
        return sum(entry.repair(sequence, now) for sequence in sequences)

    def probe(self, peer: int, size: int, cluster: int, now: int) -> int:
        entry = self._peers.get(peer)
        flowing = [entry.destinations[handle] for handle in sorted(entry.destinations)]
        flowing = [destination for destination in flowing if destination.flows]
        if not flowing:
            return 0
        sent, left = 0, size
        again = (one for destination in flowing for one in destination.probe_latest(cluster, now))
        padding = (flowing[0].probe_padding(cluster, now) for _ in count())
        for source in (again, padding):
            while left > 0:
                got = next(source, None)
                if got is None:
                    break
                if not got:
                    return self._probed(sent)
                left -= got
                sent += 1
        return self._probed(sent)

    def _probed(self, packets: int) -> int:
        self._counters["probes"] += packets
        return packets

    def send_rtp(self, peer: int, packet: bytes, now: int) -> None:
        self._output.rtp(self._peers.get(peer), packet, now)

    def send_rtcp(self, peer: int, packet: bytes, now: int) -> None:
        self._output.rtcp(self._peers.get(peer), packet, now)

    def send_raw(self, peer: int, data: bytes) -> None:
        self._send(self._peers.get(peer).address, data)

    def send_to(self, address: bytes, data: bytes) -> None:
        check_address(address)
        self._send(address, data)

    def _send(self, address: bytes, data: bytes) -> None:
        if len(data) > MAX_DATAGRAM:
            self._counters["unsendable"] += 1
        else:
            self._output.queue(address, data)

    def flush(self, fd: int, now: int) -> int:
        return self._output.flush(self._sockets, fd, now)

    def next_flush(self, now: int) -> int:
        return self._output.next_flush(now)

    def take(self) -> list[tuple[bytes, bytes]]:
        return self._output.take()

    # What happened.

    def arrivals(self, peer: int) -> list[tuple[int, int]]:
        entry = self._peers.get(peer)
        found = list(entry.arrivals)
        entry.arrivals.clear()
        return found

    def sent(self, peer: int, first: int, count: int) -> list[SentPacket | None]:
        if not 0 <= count <= 0xFFFF:
            raise ValueError("a feedback tells of 65,535 packets at most")
        entry = self._peers.get(peer)
        return [entry.sent((first + index) & 0xFFFF) for index in range(count)]

    def feedback(self, peer: int, packet: bytes, now: int) -> None:
        if not self._feedback.take(self._peers.get(peer), packet, now):
            raise ValueError("this is no transport-wide feedback")

    def listen(self, peer: int, attention: Attention) -> None:
        entry = self._peers.get(peer)
        entry.listened = True
        entry.observer.listen(attention)

    def heard(self) -> list[int]:
        return self._feedback.heard()

    def observe(self, peer: int, now: int) -> Observation:
        return self._peers.get(peer).observer.observe(now)

    def stream_statistics(self, stream: int) -> StreamStatistics:
        return self._streams.get(stream).statistics

    def destination_state(self, destination: int) -> DestinationState:
        return self._destinations.get(destination).state()

    def counters(self) -> dict[str, int]:
        return dict(self._counters)

    def close(self) -> None:
        self._sockets.close()
        self._batch = []
