"""One encrypted path of a light member: what it sends, an observer for each stream that comes, and the
answers of a real receiver: reports, requests for repair and key frames, transport-wide feedback."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from bench.loadbot.delays import Delays
from bench.loadbot.findings import Findings
from bench.loadbot.formats import extension_ids, read_as, section
from bench.loadbot.ice import NEXT_CHECKS, Handshake, IceClient
from bench.loadbot.observer import StreamObserver
from bench.loadbot.plane import Plane, Way
from bench.loadbot.scenarios import Trouble
from bench.loadbot.sending import Sending
from rtc.errors import PacketError
from rtc.fanout import Kind, Record, StreamPlan
from rtc.header_extensions import TRANSPORT_WIDE
from rtc.local_addresses import local_addresses_towards
from rtc.reports import middle_ntp
from rtc.rtcp import (
    GenericNack,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_compound,
)
from rtc.sdp import MediaSection, TransportParameters
from rtc.transport import Certificate
from rtc.transport_feedback import FeedbackRecorder

#: Streams of one path that are watched; more are counted as strangers.
_MAX_STREAMS: Final = 256
#: Seconds between reports, between feedback about single packets, and between looks at what is missing.
REPORT_INTERVAL: Final = 1.0
_FEEDBACK_INTERVAL: Final = 0.1
_REPAIR_INTERVAL: Final = 0.02
_BLOCKS_PER_REPORT: Final = 31  # RFC 3550 section 6.4.1: a count of five bits
_MAX_NACKS: Final = 200
_RTP, _RTCP, _OTHER = int(Kind.RTP), int(Kind.RTCP), int(Kind.OTHER)


@dataclass(slots=True)
class _Incoming:
    """A stream of the plane, and what was reported of it."""

    stream: int
    observer: StreamObserver
    expected: int = 0
    received: int = 0
    sender_report: int = 0
    reported_at: float = 0.0


class MediaPath:
    """`connect`, then packets are watched and what there is to send is sent."""

    def __init__(
        self,
        plane: Plane,
        certificate: Certificate,
        sending: Sending | None = None,
        *,
        trouble: Trouble | None = None,
        prompt: bool = True,
    ) -> None:
        self.sending = sending
        self.delays = Delays()
        self.coming = Findings()  # until `begin`
        self.strangers = 0
        self.broken = False
        self._plane, self._fanout = plane, plane.fanout
        self._certificate, self._trouble, self.prompt = certificate, trouble, prompt
        self.peer = self._fanout.open_peer()
        self._ice = IceClient(self._fanout, self.peer)
        self._handshake = Handshake(self._ice, certificate, self._closed)
        self._way: Way | None = None
        self._incoming: dict[int, _Incoming] = {}
        self._plans: dict[str, MediaSection] = {
            "audio": section("audio", "", ""),
            "video": section("video", "", ""),
        }
        self._ssrc = random.randrange(1, 1 << 32)
        self._recorder: FeedbackRecorder | None = None
        self._stopped = False

    @property
    def observers(self) -> dict[int, StreamObserver]:
        """By SSRC."""
        return {ssrc: incoming.observer for ssrc, incoming in self._incoming.items()}

    @property
    def handshakes(self) -> int:
        """How often DTLS was done."""
        return self._handshake.done

    @property
    def packets(self) -> int:
        """Packets of all streams so far."""
        return sum(incoming.observer.packets for incoming in self._incoming.values())

    def local_parameters(self, setup: str) -> TransportParameters:
        """What to write into our SDP; `setup` is actpass, active or passive (RFC 8842)."""
        return TransportParameters(
            ufrag=self._ice.ufrag,
            password=self._ice.password,
            fingerprint=self._certificate.fingerprint,
            setup=setup,
        )

    async def connect(self, remote: TransportParameters, dtls_role: str = "client") -> None:
        """Raises ConnectionError, whose text names the step."""
        # IPv4 first: link-local addresses of IPv6 need a scope, which no candidate tells.
        usable = [c for c in remote.candidates if c.protocol == "udp" and not c.host.startswith("fe80")]
        hosts = [c.host for c in sorted(usable, key=lambda c: (":" in c.host, -c.priority))]
        addresses = local_addresses_towards(hosts)
        if not addresses:
            raise ConnectionError("the server named no address that can be reached")
        way = self._way = Way(self._plane, self.peer, self._batch, addresses[0], self._trouble)
        self._plane.watch(way, prompt=self.prompt)
        self._ice.begin(remote, way)
        await self._ice.wait_ready()
        await self._handshake.run(remote, dtls_role, self._fanout, self.peer)
        way.keyed()
        now = time.monotonic()
        self._plane.call_at(now + NEXT_CHECKS * random.random(), self._check)
        self._plane.call_at(now + REPORT_INTERVAL * random.random(), self._report)
        self._plane.call_at(now + _REPAIR_INTERVAL, self._repair)
        if self._recorder is not None:
            self._plane.call_at(now + _FEEDBACK_INTERVAL * random.random(), self._feed_back)
        if self.sending is not None:
            self.sending.begin(self._plane, self)

    def agree(self, sections: list[MediaSection]) -> None:
        """What both ends named in their descriptions."""
        ids = extension_ids(sections)
        self._fanout.set_extensions(self.peer, ids)
        # Janus keeps the line of the extension where it does not do what it is for.
        wide = bool(ids.transport_wide) and any(
            "transport-cc" in codec.feedback for one in sections for codec in one.codecs
        )
        if wide and self._recorder is None:
            self._recorder = FeedbackRecorder(self._ssrc)
        if self.sending is not None:
            ours = [one for one in sections if TRANSPORT_WIDE in one.extensions.values()]
            self.sending.wide.agreed = wide and bool(ours)

    def expect(self, agreed: MediaSection, senders: frozenset[int] | None) -> None:
        """Says what comes in a section and from whom; its packets may have begun to come already."""
        self._plans[agreed.kind] = agreed
        if not agreed.ssrcs:
            return
        ssrc = agreed.ssrcs[0]
        incoming = self._incoming.get(ssrc) or self._open(
            ssrc, "audio" if agreed.kind == "audio" else "video"
        )
        incoming.observer.senders = senders
        repair = agreed.rtx.get(ssrc, 0)
        if repair:
            with suppress(ValueError):  # known already
                self._fanout.set_repair_ssrc(incoming.stream, repair)

    def trouble(self, trouble: Trouble | None) -> None:
        """Makes the path bad, or good again with None."""
        if self._way is None:
            return
        if trouble is not None and trouble.moves_to:
            self._move(trouble.moves_to)
        elif self._way.shaped:
            self._way.trouble(trouble)

    def begin(self) -> None:
        """Everybody is there: what was lost until now, and how long it took, is that of coming in."""
        self.coming = self._sum()
        self.delays.clear()
        for incoming in self._incoming.values():
            incoming.observer.checks.forget_gaps()

    def ended(self, now: float) -> None:
        """From now on nothing need come any more."""
        for incoming in self._incoming.values():
            incoming.observer.checks.ended(now)

    async def stop_sending(self) -> None:
        """Sends nothing more; still watches."""
        if self.sending is not None:
            self.sending.stop()

    async def close(self) -> None:
        self._stopped = True
        await self.stop_sending()
        await self._handshake.close()
        self._ice.close()
        if self._way is not None:
            self._way.close()
        self._fanout.close_peer(self.peer)

    def findings(self) -> Findings:
        """Of all streams, losses since `begin`."""
        return self._sum().since(self.coming)

    def _sum(self) -> Findings:
        total = Findings()
        for incoming in self._incoming.values():
            total.add(incoming.observer.findings)
        return total

    def send_rtp(self, packets: Sequence[bytes]) -> None:
        if self._way is None or self._stopped:
            return
        now = self._plane.now()
        for packet in packets:
            self._fanout.send_rtp(self.peer, packet, now)
        self._send_sealed(self._way, now)

    def _send_sealed(self, way: Way, now: int) -> None:
        """What `send_rtp` has sealed leaves."""
        way.flush()

    def send_rtcp(self, data: bytes) -> None:
        if self._way is not None and not self._stopped:
            self._fanout.send_rtcp(self.peer, data, self._plane.now())
            self._way.flush()

    def _batch(self, records: Sequence[Record], now: int) -> None:
        seconds, read, incoming = now / 1e6, self._fanout.packet, self._incoming
        for index, record in enumerate(records):
            kind, _, _, _, _, _, flags, sequence, _, timestamp, ssrc, _, stream = record
            if kind == _RTP:
                known = incoming.get(ssrc)
                if known is None or stream < 0:
                    self._unknown(record, index, now)
                    continue
                known.observer.take(sequence, timestamp, flags, index, read, seconds)
            elif kind == _RTCP:
                self._rtcp(read(index), seconds)
            else:
                self._ice.take(read(index), self._fanout.address(index))

    def _unknown(self, record: Record, index: int, now: int) -> None:
        """The first packet of a stream may be here before the answer that names it."""
        kind: Literal["audio", "video"]
        for kind in ("audio", "video"):
            codecs, _ = read_as(self._plans[kind])
            if record.payload_type in codecs and record.ssrc not in self._incoming:
                if len(self._incoming) >= _MAX_STREAMS:
                    break
                opened = self._open(record.ssrc, kind)
                again = self._fanout.adopt(index, opened.stream, now)
                opened.observer.take(
                    again.sequence, again.timestamp, again.flags, index, self._fanout.packet, now / 1e6
                )
                return
        self.strangers += 1

    def _open(self, ssrc: int, kind: Literal["audio", "video"]) -> _Incoming:
        codecs, repairs = read_as(self._plans[kind])
        rate = 48000 if kind == "audio" else 90000
        plan = StreamPlan(ssrc, rate, kind == "video", codecs, repairs)
        observer = StreamObserver(kind, self.delays if self.prompt else None)
        opened = self._incoming[ssrc] = _Incoming(self._fanout.open_stream(self.peer, plan), observer)
        return opened

    def _rtcp(self, data: bytes, now: float) -> None:
        with suppress(PacketError):
            packets = parse_compound(data)
            for packet in packets:
                if isinstance(packet, SenderReport) and (known := self._incoming.get(packet.ssrc)):
                    known.sender_report, known.reported_at = middle_ntp(packet.ntp_time), now
            if self.sending is not None:
                self.sending.handle_rtcp(packets, now)

    def _closed(self) -> None:
        self.broken = True

    def _move(self, host: str) -> None:
        """The same path from another address: no new handshake, a check that brings the address."""
        if self._way is None:
            return
        remote = self._way.remote
        self._way.close()
        way = self._way = Way(self._plane, self.peer, self._batch, host, self._trouble)
        way.use(remote)
        way.keyed()
        self._plane.watch(way, prompt=self.prompt)
        self._ice.move(way)
        self._ice.check()

    # What happens at times.

    def _check(self, now: float) -> float | None:
        if self._stopped:
            return None
        self._ice.check()
        return now + (NEXT_CHECKS if self._ice.state == "completed" else 0.1)

    def _repair(self, now: float) -> float | None:
        if self._stopped:
            return None
        for ssrc, incoming in self._incoming.items():
            if incoming.observer.troubled:
                lost, key_frame = incoming.observer.tick(now)
                if lost:
                    self.send_rtcp(GenericNack(self._ssrc, ssrc, tuple(lost[:_MAX_NACKS])).serialize())
                if key_frame:
                    self.send_rtcp(PictureLossIndication(self._ssrc, ssrc).serialize())
        return now + _REPAIR_INTERVAL

    def _feed_back(self, now: float) -> float | None:
        if self._stopped or self._recorder is None:
            return None
        self._recorder.arrived(self._fanout.arrivals(self.peer))
        ssrc = next(iter(self._incoming), 0)
        for packet in self._recorder.build(ssrc, self._plane.now()):
            self.send_rtcp(packet.serialize())
        return now + _FEEDBACK_INTERVAL

    def _report(self, now: float) -> float | None:
        """Receiver reports each second, as any member sends them."""
        if self._stopped:
            return None
        blocks = [
            self._block(ssrc, incoming, now)
            for ssrc, incoming in self._incoming.items()
            if incoming.observer.packets
        ]
        for begin in range(0, len(blocks), _BLOCKS_PER_REPORT):
            report = ReceiverReport(self._ssrc, tuple(blocks[begin : begin + _BLOCKS_PER_REPORT]))
            self.send_rtcp(report.serialize())
        return now + REPORT_INTERVAL

    def _block(self, ssrc: int, incoming: _Incoming, now: float) -> ReportBlock:
        """RFC 3550 section 6.4.1; repairs do not count as received."""
        counts = self._fanout.stream_statistics(incoming.stream)
        expected = counts.highest_sequence - counts.base_sequence + 1
        received = counts.packets - incoming.observer.found.repaired
        interval, lost = (
            expected - incoming.expected,
            (expected - received) - (incoming.expected - incoming.received),
        )
        incoming.expected, incoming.received = expected, received
        fraction = min(255, lost * 256 // interval) if interval > 0 and lost > 0 else 0
        delay = int((now - incoming.reported_at) * 65536) if incoming.sender_report else 0
        return ReportBlock(
            ssrc,
            fraction,
            min(max(expected - received, -0x800000), 0x7FFFFF),
            counts.highest_sequence & 0xFFFFFFFF,
            counts.jitter_q4 >> 4,
            incoming.sender_report,
            min(max(delay, 0), 0xFFFFFFFF),
        )
