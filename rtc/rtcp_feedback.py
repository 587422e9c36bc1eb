"""RTCP packets that ask: NACK and PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from rtc.errors import PacketError
from rtc.rtcp_reports import frame_packet

TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206

FORMAT_NACK: Final = 1
FORMAT_PLI: Final = 1
FORMAT_FIR: Final = 4
FORMAT_APPLICATION: Final = 15

_SOURCES: Final = Struct("!II")
_NACK_ITEM: Final = Struct("!HH")
_FIR_ITEM: Final = Struct("!IBxxx")
_REMB: Final = b"REMB"
_MAX_BITRATE: Final = 0x3FFFF << 63


@dataclass(frozen=True, slots=True)
class GenericNack:
    """Asks for packets again (RFC 4585 section 6.2.1). `lost` are sequence numbers, 0..65535."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]

    def serialize(self) -> bytes:
        """Neighbours within 16 share an item when they stand in ascending order (across the wrap too)."""
        items: list[bytes] = []
        first, mask = -1, 0
        for number in self.lost:
            distance = (number - first - 1) & 0xFFFF
            if first >= 0 and distance < 16 and not mask >> distance:
                mask |= 1 << distance
                continue
            if first >= 0:
                items.append(_NACK_ITEM.pack(first, mask))
            first, mask = number, 0
        if first >= 0:
            items.append(_NACK_ITEM.pack(first, mask))
        body = _SOURCES.pack(self.sender_ssrc, self.media_ssrc) + b"".join(items)
        return frame_packet(TRANSPORT_FEEDBACK, FORMAT_NACK, body)


@dataclass(frozen=True, slots=True)
class PictureLossIndication:
    """Asks for a key frame (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int

    def serialize(self) -> bytes:
        return frame_packet(PAYLOAD_FEEDBACK, FORMAT_PLI, _SOURCES.pack(self.sender_ssrc, self.media_ssrc))


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """Asks for a key frame (RFC 5104 section 4.3.1): (source, request number 0..255); repeats share it."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]
    media_ssrc: int = 0

    def serialize(self) -> bytes:
        items = b"".join(_FIR_ITEM.pack(ssrc, number) for ssrc, number in self.requests)
        body = _SOURCES.pack(self.sender_ssrc, self.media_ssrc) + items
        return frame_packet(PAYLOAD_FEEDBACK, FORMAT_FIR, body)


@dataclass(frozen=True, slots=True)
class ReceiverEstimate:
    """REMB: the receiver believes `ssrcs` (at most 255) together may use `bitrate` bit/s.

    The wire keeps the upper 18 bits of the rate, rounded down.
    """

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]

    def serialize(self) -> bytes:
        if len(self.ssrcs) > 255:
            raise PacketError("REMB can name 255 sources at most")
        rate = min(max(self.bitrate, 0), _MAX_BITRATE)
        exponent = max(0, rate.bit_length() - 18)
        number = len(self.ssrcs) << 24 | exponent << 18 | rate >> exponent
        body = _SOURCES.pack(self.sender_ssrc, 0) + _REMB + number.to_bytes(4, "big")
        body += b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        return frame_packet(PAYLOAD_FEEDBACK, FORMAT_APPLICATION, body)


def _sources(body: bytes) -> tuple[int, int]:
    if len(body) < _SOURCES.size:
        raise PacketError("RTCP feedback is too short")
    sender, media = _SOURCES.unpack_from(body)
    return sender, media


def _items(body: bytes, item: Struct) -> memoryview:
    rest = memoryview(body)[_SOURCES.size :]
    if len(rest) % item.size:
        raise PacketError("RTCP feedback ends inside an item")
    return rest


def parse_nack(body: bytes) -> GenericNack:
    """Reads the body after the common header. Raises PacketError."""
    sender, media = _sources(body)
    lost: list[int] = []
    for first, mask in _NACK_ITEM.iter_unpack(_items(body, _NACK_ITEM)):
        lost.append(first)
        while mask:
            lowest = mask & -mask
            lost.append((first + lowest.bit_length()) & 0xFFFF)
            mask ^= lowest
    return GenericNack(sender, media, tuple(lost))


def parse_pli(body: bytes) -> PictureLossIndication:
    """Reads the body after the common header. Raises PacketError."""
    sender, media = _sources(body)
    return PictureLossIndication(sender, media)


def parse_fir(body: bytes) -> FullIntraRequest:
    """Reads the body after the common header. Raises PacketError."""
    sender, media = _sources(body)
    requests = tuple((ssrc, number) for ssrc, number in _FIR_ITEM.iter_unpack(_items(body, _FIR_ITEM)))
    return FullIntraRequest(sender, requests, media)


def parse_application(body: bytes) -> ReceiverEstimate | None:
    """Reads the body after the common header: REMB, or None for another application's message.

    Raises PacketError.
    """
    sender, _ = _sources(body)
    if body[8:12] != _REMB:
        return None
    if len(body) < 16:
        raise PacketError("REMB is too short")
    count = body[12]
    number = int.from_bytes(body[13:16], "big")
    if len(body) < 16 + 4 * count:
        raise PacketError("REMB counts more sources than it carries")
    ssrcs = tuple(int.from_bytes(body[i : i + 4], "big") for i in range(16, 16 + 4 * count, 4))
    return ReceiverEstimate(sender, (number & 0x3FFFF) << (number >> 18), ssrcs)
