"""H.264 in RTP, packetization mode 1 (RFC 6184): single NAL units, STAP-A, FU-A; Annex B outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rtc.errors import PacketError
from rtc.vp8 import MAX_PAYLOAD

IDR: Final = 5
SPS: Final = 7
STAP_A: Final = 24
FU_A: Final = 28

START_CODE: Final = b"\x00\x00\x00\x01"

_ANY_START_CODE: Final = re.compile(b"\x00\x00\x01")


@dataclass(slots=True)
class H264Descriptor:
    """What one payload holds: the NAL unit types in it (1..23) and whether it begins its (first) unit."""

    types: tuple[int, ...]
    start: bool

    @property
    def idr(self) -> bool:
        """True when a slice of a key frame is in it."""
        return IDR in self.types

    @property
    def starts_key_frame(self) -> bool:
        """True when a decoder can begin here: a sequence parameter set, which precedes each key frame."""
        return self.start and SPS in self.types


def split_nal_units(frame: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes; empty ones are left out."""
    units = []
    starts = [match.end() for match in _ANY_START_CODE.finditer(frame)]
    for index, start in enumerate(starts):
        end = starts[index + 1] - 3 if index + 1 < len(starts) else len(frame)
        unit = frame[start:end].rstrip(b"\x00")  # trailing zeros belong to the next start code
        if unit:
            units.append(unit)
    return units


def is_key_frame(frame: bytes) -> bool:
    """True when an Annex B frame holds an IDR slice."""
    return any(unit[0] & 0x1F == IDR for unit in split_nal_units(frame))


def packetize(frame: bytes, max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """Cuts an Annex B frame into payloads of at most max_payload bytes (>= 16).

    Small neighbours share a STAP-A, a large unit becomes FU-As of nearly equal size. A frame without NAL
    units gives no payloads.
    """
    if max_payload < 16:
        raise ValueError("max_payload leaves no room for data")
    payloads: list[bytes] = []
    group: list[bytes] = []
    size = 1
    for unit in split_nal_units(frame):
        if group and (size + 2 + len(unit) > max_payload):
            payloads.append(_aggregate(group))
            group, size = [], 1
        if len(unit) > max_payload:
            payloads.extend(_fragment(unit, max_payload))
        else:
            group.append(unit)
            size += 2 + len(unit)
    if group:
        payloads.append(_aggregate(group))
    return payloads


def _aggregate(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    importance = max(unit[0] & 0x60 for unit in units)
    parts = [bytes((importance | STAP_A,))]
    for unit in units:
        parts.append(len(unit).to_bytes(2, "big"))
        parts.append(unit)
    return b"".join(parts)


def _fragment(unit: bytes, max_payload: int) -> list[bytes]:
    indicator, kind = unit[0] & 0xE0 | FU_A, unit[0] & 0x1F
    body = len(unit) - 1
    count = -(-body // (max_payload - 2))
    fragments = []
    for index in range(count):
        begin, end = index * body // count, (index + 1) * body // count
        flags = (0x80 if index == 0 else 0) | (0x40 if index == count - 1 else 0)
        fragments.append(bytes((indicator, flags | kind)) + unit[1 + begin : 1 + end])
    return fragments


def depacketize(payload: bytes) -> tuple[H264Descriptor, bytes]:
    """What a payload holds and its part of the Annex B stream; parts in order, joined, are the frame.

    Raises PacketError for an empty payload, a length that lies, or a kind that mode 1 does not have.
    """
    if not payload:
        raise PacketError("H.264 payload is empty")
    kind = payload[0] & 0x1F
    if 1 <= kind <= 23:
        return H264Descriptor((kind,), True), START_CODE + payload
    if kind == FU_A:
        return _read_fragment(payload)
    if kind == STAP_A:
        return _read_aggregate(payload)
    raise PacketError("H.264 payload is of a kind that packetization mode 1 does not have")


def _read_fragment(payload: bytes) -> tuple[H264Descriptor, bytes]:
    if len(payload) < 3:
        raise PacketError("H.264 fragment carries no data")
    header = payload[1]
    types = (header & 0x1F,)
    if header & 0x80:
        unit_header = bytes((payload[0] & 0xE0 | header & 0x1F,))
        return H264Descriptor(types, True), START_CODE + unit_header + payload[2:]
    return H264Descriptor(types, False), payload[2:]


def _read_aggregate(payload: bytes) -> tuple[H264Descriptor, bytes]:
    position = 1
    types = []
    parts = []
    while position < len(payload):
        start = position + 2
        position = start + int.from_bytes(payload[start - 2 : start], "big")
        if start >= len(payload) or position > len(payload) or position == start:
            raise PacketError("H.264 aggregate has a length that lies")
        types.append(payload[start] & 0x1F)
        parts.append(START_CODE)
        parts.append(payload[start:position])
    if not types:
        raise PacketError("H.264 aggregate is empty")
    return H264Descriptor(tuple(types), True), b"".join(parts)


def starts_key_frame(payload: bytes) -> bool:
    """True when a decoder can begin with this payload. Never raises."""
    if not payload or payload[0] & 0x1F not in (SPS, STAP_A, FU_A):
        return False
    try:
        return depacketize(payload)[0].starts_key_frame
    except PacketError:
        return False
