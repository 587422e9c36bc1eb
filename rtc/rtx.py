"""Retransmission in a stream of its own (RFC 4588 section 4)."""

from __future__ import annotations

from rtc.errors import PacketError
from rtc.rtp import RtpPacket


def encapsulate(packet: RtpPacket, payload_type: int, ssrc: int, sequence_number: int) -> RtpPacket:
    """The retransmission of a packet: in the RTX stream's numbers, the original number before the payload."""
    return RtpPacket(
        payload_type,
        sequence_number,
        packet.timestamp,
        ssrc,
        packet.marker,
        packet.sequence_number.to_bytes(2, "big") + packet.payload,
        packet.csrc,
        packet.extensions,
    )


def decapsulate(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket:
    """The original packet, given the original stream's payload type and source.

    Raises PacketError when there is no original sequence number (an empty payload is a bandwidth probe).
    """
    if len(packet.payload) < 2:
        raise PacketError("retransmission carries no sequence number")
    return RtpPacket(
        payload_type,
        int.from_bytes(packet.payload[:2], "big"),
        packet.timestamp,
        ssrc,
        packet.marker,
        packet.payload[2:],
        packet.csrc,
        packet.extensions,
    )
