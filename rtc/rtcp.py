"""RTCP (RFC 3550 section 6, reduced size allowed by RFC 5506): a compound datagram to packets and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from rtc.errors import PacketError
from rtc.rtcp_feedback import (
    FORMAT_APPLICATION,
    FORMAT_FIR,
    FORMAT_NACK,
    FORMAT_PLI,
    PAYLOAD_FEEDBACK,
    TRANSPORT_FEEDBACK,
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReceiverEstimate,
    parse_application,
    parse_fir,
    parse_nack,
    parse_pli,
)
from rtc.rtcp_reports import (
    GOODBYE,
    RECEIVER_REPORT,
    SENDER_REPORT,
    SOURCE_DESCRIPTION,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SdesChunk,
    SenderReport,
    SourceDescription,
    frame_packet,
    parse_goodbye,
    parse_receiver_report,
    parse_sender_report,
    parse_source_description,
)
from rtc.transport_feedback import (
    FORMAT_TRANSPORT_WIDE,
    MAX_REPORTED,
    TransportFeedback,
    parse_transport_feedback,
)

__all__ = [
    "MAX_COMPOUND_SIZE",
    "FullIntraRequest",
    "GenericNack",
    "Goodbye",
    "PictureLossIndication",
    "ReceiverEstimate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SdesChunk",
    "SenderReport",
    "SourceDescription",
    "TransportFeedback",
    "UnknownRtcp",
    "parse_compound",
    "serialize_compound",
]

#: Bytes of one datagram of RTCP. Real ones fit the path's MTU; higher lets a peer name more lost packets
#: in one datagram (17 for each 4 bytes) and so costs more work.
MAX_COMPOUND_SIZE: Final = 4096


@dataclass(frozen=True, slots=True)
class UnknownRtcp:
    """A well-formed packet of a kind that is not read here; `count` is the 5-bit field of its header."""

    packet_type: int
    count: int
    body: bytes

    def serialize(self) -> bytes:
        return frame_packet(self.packet_type, self.count, self.body)


RtcpPacket: TypeAlias = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | GenericNack
    | PictureLossIndication
    | FullIntraRequest
    | ReceiverEstimate
    | TransportFeedback
    | UnknownRtcp
)

_REPORTS: Final[Mapping[int, Callable[[int, bytes], RtcpPacket]]] = {
    SENDER_REPORT: parse_sender_report,
    RECEIVER_REPORT: parse_receiver_report,
    SOURCE_DESCRIPTION: parse_source_description,
    GOODBYE: parse_goodbye,
}
_FEEDBACK: Final[Mapping[tuple[int, int], Callable[[bytes], RtcpPacket | None]]] = {
    (TRANSPORT_FEEDBACK, FORMAT_NACK): parse_nack,
    (TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_WIDE): parse_transport_feedback,
    (PAYLOAD_FEEDBACK, FORMAT_PLI): parse_pli,
    (PAYLOAD_FEEDBACK, FORMAT_FIR): parse_fir,
    (PAYLOAD_FEEDBACK, FORMAT_APPLICATION): parse_application,
}
#: Browsers set the padding bit here for the 1 to 3 bytes behind the deltas, against RFC 3550 section 6.4.1;
#: how long the deltas are is known without it.
_LOOSELY_PADDED: Final = (TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_WIDE)


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """All packets of a datagram, in order. Raises PacketError when any length in it lies, or it is empty,
    or longer than MAX_COMPOUND_SIZE, or reports on more than MAX_REPORTED packets: then nothing of it counts.
    """
    size = len(data)
    if not 4 <= size <= MAX_COMPOUND_SIZE:
        raise PacketError("RTCP datagram has an impossible size")
    packets: list[RtcpPacket] = []
    position = reported = 0
    while position < size:
        if size - position < 4:
            raise PacketError("RTCP packet is shorter than its header")
        first, packet_type = data[position], data[position + 1]
        if first & 0xC0 != 0x80:
            raise PacketError("RTCP packet is not version 2")
        end = position + 4 + 4 * int.from_bytes(data[position + 2 : position + 4], "big")
        if end > size:
            raise PacketError("RTCP packet is longer than its datagram")
        body = data[position + 4 : end]
        if first & 0x20 and (packet_type, first & 0x1F) != _LOOSELY_PADDED:
            body = _without_padding(body, last=end == size)
        packet = _parse(packet_type, first & 0x1F, body)
        if isinstance(packet, TransportFeedback):
            reported += len(packet.arrivals)
            if reported > MAX_REPORTED:
                raise PacketError("RTCP datagram reports on too many packets")
        packets.append(packet)
        position = end
    return packets


def is_receiver_report(data: bytes) -> bool:
    """Whether a datagram is one receiver report of blocks alone, as its lengths say."""
    if len(data) < 8 or data[0] & 0xE0 != 0x80 or data[1] != RECEIVER_REPORT:
        return False
    words = data[2] << 8 | data[3]
    return len(data) == 4 + 4 * words and words == 1 + 6 * (data[0] & 0x1F)


def _without_padding(body: bytes, *, last: bool) -> bytes:
    if not last or not body or not 0 < body[-1] <= len(body) or body[-1] % 4:
        raise PacketError("RTCP packet has a padding that lies")
    return body[: -body[-1]]


def _parse(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    report = _REPORTS.get(packet_type)
    if report is not None:
        return report(count, body)
    feedback = _FEEDBACK.get((packet_type, count))
    packet = feedback(body) if feedback is not None else None
    return packet if packet is not None else UnknownRtcp(packet_type, count, body)


def serialize_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """One datagram of the packets in order."""
    return b"".join(packet.serialize() for packet in packets)
