"""What members say in RTCP, and what is done about it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtc import rtcp
from rtc.reports import from_ntp
from server_lite import rtcp_out

if TYPE_CHECKING:
    from server_lite.consumer import Consumer
    from server_lite.path import Path
    from server_lite.router import Router


class RtcpIn:
    """Reads compounds of the members of one router."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def handle(self, path: Path, data: bytes, now: int) -> None:
        """Raises PacketError where the datagram lies; then nothing of it counts."""
        for packet in rtcp.parse_compound(data):
            match packet:
                case rtcp.TransportFeedback():
                    # The plane takes what comes alone, which is the usual.
                    self._router.plane.feedback(path.peer, packet.serialize(), now)
                case rtcp.SenderReport():
                    self._sender_report(path, packet, now)
                    path.downlink.reported(packet.reports, path.by_ssrc, now)
                case rtcp.ReceiverReport():
                    path.downlink.reported(packet.reports, path.by_ssrc, now)
                case rtcp.GenericNack() if packet.media_ssrc in path.by_ssrc:
                    self._nack(path, path.by_ssrc[packet.media_ssrc], packet.lost, now)
                case rtcp.PictureLossIndication() if packet.media_ssrc in path.by_ssrc:
                    self._key_frame(path.by_ssrc[packet.media_ssrc], now)
                case rtcp.FullIntraRequest():
                    for ssrc, _ in packet.requests:
                        if ssrc in path.by_ssrc:
                            self._key_frame(path.by_ssrc[ssrc], now)
                case rtcp.ReceiverEstimate():
                    path.downlink.remb(packet.bitrate, path.consumers.values(), now)

    def _nack(self, path: Path, consumer: Consumer, lost: tuple[int, ...], now: int) -> None:
        """Sends again as much as the path bears; where that is too little, a key frame costs less."""
        if consumer.plan.rtx_ssrc is None:
            return
        lost = consumer.worth_repairing(lost, now)
        wanted = consumer.repairs.fresh(lost, path.downlink.again_after, now)
        allowed = path.downlink.repairs(len(wanted), path.used, now)
        if allowed:
            sent = self._router.plane.repair(consumer.destination, wanted[:allowed], now)
            consumer.repairs.sent(wanted[:allowed], now)
            self._router.counters.nacks_answered += sent
        if allowed < len(wanted) and consumer.repairs.given_up(now):
            self._key_frame(consumer, now)

    def _key_frame(self, consumer: Consumer, now: int) -> None:
        layer = consumer.aimed or consumer.current
        if layer is not None:
            self._router.upstream.ask_key_frame(layer, now)

    def _sender_report(self, path: Path, report: rtcp.SenderReport, now: int) -> None:
        layer = path.layers.get(report.ssrc)
        if layer is None or layer.stream < 0:
            return
        layer.sender_report(report, now)
        sender_time = int(from_ntp(report.ntp_time) * 1e6)
        self._router.plane.set_clock(layer.stream, sender_time, report.rtp_timestamp)
        for consumer in layer.producer.consumers:
            if consumer.current is not layer:
                continue
            peer = self._router.paths[consumer.member].peer
            rewritten = rtcp_out.sender_report(consumer, report)
            if rewritten is not None:
                self._router.counters.packets_out += 1
                self._router.plane.send_rtcp(peer, rewritten, now)
