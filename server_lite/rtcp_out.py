"""What the server itself says in RTCP. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtc import rtcp
from rtc.rtcp import ReportBlock

if TYPE_CHECKING:
    from server_lite.consumer import Consumer
    from server_lite.router import Router

#: The SSRC the server uses in its own RTCP; any value that no stream uses.
OWN_SSRC: Final = 1
_CNAME: Final = "hearth"
_BLOCKS: Final = 31  # RFC 3550 section 6.4.1: a count of five bits


def key_frame_request(ssrc: int) -> bytes:
    return rtcp.PictureLossIndication(OWN_SSRC, ssrc).serialize()


def nack(ssrc: int, missing: tuple[int, ...]) -> bytes:
    return rtcp.GenericNack(OWN_SSRC, ssrc, missing).serialize()


def sender_report(consumer: Consumer, report: rtcp.SenderReport) -> bytes | None:
    """The producer's report in this receiver's numbers, so that lip sync survives; None while none flows."""
    state = consumer.plane.destination_state(consumer.destination)
    if state.stream < 0 or not state.packets:
        return None
    ours = rtcp.SenderReport(
        ssrc=consumer.plan.ssrc,
        ntp_time=report.ntp_time,
        rtp_timestamp=(report.rtp_timestamp + state.timestamp_offset) & 0xFFFFFFFF,
        packet_count=state.packets & 0xFFFFFFFF,
        octet_count=state.octets & 0xFFFFFFFF,
    )
    return ours.serialize() + rtcp.SourceDescription.of(consumer.plan.ssrc, _CNAME).serialize()


def report(router: Router, now: int) -> None:
    """One compound per sender: how its streams arrive, and to old peers how much video they may send."""
    for path in router.paths.values():
        layers = [layer for layer in path.layers.values() if layer.packets and layer.stream >= 0]
        if not layers:
            continue
        blocks: list[ReportBlock] = []
        for layer in layers[:_BLOCKS]:
            blocks.append(layer.report_block(router.plane.stream_statistics(layer.stream), now))
        packet = rtcp.ReceiverReport(OWN_SSRC, tuple(blocks)).serialize()
        packet += rtcp.SourceDescription.of(OWN_SSRC, _CNAME).serialize()
        video = tuple(layer.ssrc for layer in layers if layer.producer.kind == "video")
        if video and not path.extensions.transport_wide:
            packet += rtcp.ReceiverEstimate(OWN_SSRC, router.settings.video_bitrate_cap, video).serialize()
        router.counters.packets_out += 1
        router.plane.send_rtcp(path.peer, packet, now)
