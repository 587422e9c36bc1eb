"""One RTP stream on its way out: packets put together cheaply, kept for repair, reported."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Final

from bench.loadbot.formats import LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, WIDE_ID
from bench.loadbot.frames import DEPENDENCY_ID
from rtc.reports import SendStatistics
from rtc.rtcp import SourceDescription, serialize_compound

_HEAD: Final = struct.Struct(">BBHII")
#: Packets kept for repair: a second of the largest layer.
_KEPT: Final = 256
#: Repairs of one stream a second.
_REPAIRS: Final = 300


@dataclass(slots=True)
class Wide:
    """Numbers of all packets of one path, where both ends want them."""

    agreed: bool = False
    number: int = 0


class Outgoing:
    """`ssrc`, and `rtx_ssrc` with its payload type by that of what it repairs. Times in seconds."""

    def __init__(
        self, mid: str, name: str, clock_rate: int, wide: Wide, *, rid: str = "", repairs: bool = False
    ) -> None:
        self.ssrc = random.randrange(1, 1 << 32)
        self.rtx_ssrc = random.randrange(1, 1 << 32) if repairs else 0
        self.rid = rid
        self._name, self._clock_rate, self._wide = name, clock_rate, wide
        # The first number stays below 2**15: RFC 3711 section 3.3.1.
        self._sequence, self._rtx_sequence = random.randrange(1 << 15), random.randrange(1 << 15)
        self._offset = random.randrange(1 << 32)
        mid_value, rid_value = mid.encode(), rid.encode()
        self._names = {MID_ID: mid_value} | ({RID_ID: rid_value} if rid else {})
        self._rtx_names = {MID_ID: mid_value} | ({REPAIRED_ID: rid_value} if rid else {})
        self._head = _one_byte(self._names)
        self._rtx_head = _one_byte(self._rtx_names)
        self._kept: dict[int, tuple[int, int, bytes, bytes]] = {}
        self._counts = SendStatistics(clock_rate)
        self._allowed, self._allowed_at = float(_REPAIRS), 0.0
        self.repaired = 0

    def timestamp(self, seconds: float) -> int:
        """Of what was taken at `seconds` of the monotonic clock."""
        return (round(seconds * self._clock_rate) + self._offset) & 0xFFFFFFFF

    def packet(
        self,
        payload_type: int,
        marker: bool,
        timestamp: int,
        payload: bytes,
        now: float,
        *,
        level: int = -1,
        descriptor: bytes = b"",
    ) -> bytes:
        """The next one. `level` is the byte of RFC 6464."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        first = payload_type | 0x80 if marker else payload_type
        if self.rtx_ssrc:
            self._kept[sequence] = (first, timestamp, descriptor, payload)
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        self._counts.sent(len(payload), timestamp, now)
        extensions = self._extensions(self._head, self._names, level, descriptor)
        return _HEAD.pack(0x90, first, sequence, timestamp, self.ssrc) + extensions + payload

    def repairs(self, wanted: tuple[int, ...], types: dict[int, int], now: float) -> list[bytes]:
        """Those of the wanted numbers that are still there, as RTX (RFC 4588)."""
        self._allowed = min(_REPAIRS, self._allowed + (now - self._allowed_at) * _REPAIRS)
        self._allowed_at = now
        packets = []
        for number in wanted:
            kept = self._kept.get(number)
            if kept is None or self._allowed < 1:
                continue
            self._allowed -= 1
            first, timestamp, descriptor, payload = kept
            rtx_type = types[first & 0x7F]
            sequence, self._rtx_sequence = self._rtx_sequence, (self._rtx_sequence + 1) & 0xFFFF
            extensions = self._extensions(self._rtx_head, self._rtx_names, -1, descriptor)
            head = _HEAD.pack(0x90, first & 0x80 | rtx_type, sequence, timestamp, self.rtx_ssrc)
            packets.append(head + extensions + number.to_bytes(2, "big") + payload)
        self.repaired += len(packets)
        return packets

    def report(self, now: float, wall: float) -> bytes:
        """A sender report with the name; empty before the first packet."""
        report = self._counts.sender_report(self.ssrc, now, wall)
        if report is None:
            return b""
        return serialize_compound([report, SourceDescription.of(self.ssrc, self._name)])

    def _extensions(self, head: bytes, names: dict[int, bytes], level: int, descriptor: bytes) -> bytes:
        wide = b""
        if self._wide.agreed:
            number = self._wide.number
            self._wide.number = (number + 1) & 0xFFFF
            wide = number.to_bytes(2, "big")
        if descriptor:
            return _two_byte({**names, DEPENDENCY_ID: descriptor} | ({WIDE_ID: wide} if wide else {}))
        body = head
        if level >= 0:
            body += bytes((LEVEL_ID << 4, level))
        if wide:
            body += bytes((WIDE_ID << 4 | 1,)) + wide
        words = len(body) + 3 >> 2
        return b"\xbe\xde\0" + bytes((words,)) + body + bytes(4 * words - len(body))


def _one_byte(values: dict[int, bytes]) -> bytes:
    return b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in values.items())


def _two_byte(values: dict[int, bytes]) -> bytes:
    body = b"".join(bytes((number, len(value))) + value for number, value in values.items())
    words = len(body) + 3 >> 2
    return b"\x10\0\0" + bytes((words,)) + body + bytes(4 * words - len(body))
