"""RTCP packets that describe: reports, source descriptions, goodbyes (RFC 3550 section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from rtc.errors import PacketError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203

CNAME: Final = 1

_HEADER: Final = Struct("!BBH")
_SENDER: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")


def frame_packet(packet_type: int, count: int, body: bytes) -> bytes:
    """Puts the common header before a body of whole 32-bit words. `count` is the 5-bit field, 0..31."""
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _counted(items: int, what: str) -> int:
    if items > 31:
        raise PacketError(f"RTCP packet can carry 31 {what} at most")
    return items


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source arrives (RFC 3550 section 6.4.1).

    fraction_lost 0..255 of 256; cumulative_lost -2**23..2**23-1 packets; highest_sequence 32 bits, wraps in
    the upper half; jitter in timestamp ticks; last_sender_report the middle 32 bits of its NTP time;
    delay_since_last in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sender_report: int
    delay_since_last: int

    def serialize(self) -> bytes:
        loss = self.fraction_lost << 24 | self.cumulative_lost & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            loss,
            self.highest_sequence,
            self.jitter,
            self.last_sender_report,
            self.delay_since_last,
        )


def _parse_blocks(body: bytes, position: int, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < position + count * _BLOCK.size:
        raise PacketError("RTCP report counts more blocks than it carries")
    blocks = []
    for start in range(position, position + count * _BLOCK.size, _BLOCK.size):
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, start)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, delay))
    return tuple(blocks)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR (RFC 3550 section 6.4.1). ntp_time is 32.32 fixed point seconds since 1900."""

    ssrc: int
    ntp_time: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    def serialize(self) -> bytes:
        head = _SENDER.pack(self.ssrc, self.ntp_time, self.rtp_timestamp, self.packet_count, self.octet_count)
        count = _counted(len(self.reports), "report blocks")
        return frame_packet(SENDER_REPORT, count, head + b"".join(r.serialize() for r in self.reports))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR (RFC 3550 section 6.4.2)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def serialize(self) -> bytes:
        count = _counted(len(self.reports), "report blocks")
        body = self.ssrc.to_bytes(4, "big") + b"".join(r.serialize() for r in self.reports)
        return frame_packet(RECEIVER_REPORT, count, body)


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """What is said of one source: (item type 1..255, value of at most 255 bytes), in order."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    @property
    def cname(self) -> str | None:
        """The canonical name, None when it is not said; bytes that are not UTF-8 are replaced."""
        return next((value.decode(errors="replace") for kind, value in self.items if kind == CNAME), None)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES (RFC 3550 section 6.5)."""

    chunks: tuple[SdesChunk, ...]

    @classmethod
    def of(cls, ssrc: int, cname: str) -> SourceDescription:
        """The description every compound report carries: one source and its canonical name."""
        return cls((SdesChunk(ssrc, ((CNAME, cname.encode()[:255]),)),))

    def serialize(self) -> bytes:
        body = bytearray()
        for chunk in self.chunks:
            body += chunk.ssrc.to_bytes(4, "big")
            for kind, value in chunk.items:
                if not 1 <= kind <= 255 or len(value) > 255:
                    raise PacketError("RTCP description item does not fit")
                body += bytes((kind, len(value))) + value
            body += bytes(4 - len(body) % 4)  # at least one zero ends the items
        return frame_packet(SOURCE_DESCRIPTION, _counted(len(self.chunks), "sources"), bytes(body))


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE (RFC 3550 section 6.6). `reason` is at most 255 bytes, empty when there is none."""

    sources: tuple[int, ...]
    reason: bytes = b""

    def serialize(self) -> bytes:
        body = b"".join(source.to_bytes(4, "big") for source in self.sources)
        if self.reason:
            if len(self.reason) > 255:
                raise PacketError("RTCP goodbye reason is longer than 255 bytes")
            body += bytes((len(self.reason),)) + self.reason
            body += bytes(-len(body) % 4)
        return frame_packet(GOODBYE, _counted(len(self.sources), "sources"), body)


def parse_sender_report(count: int, body: bytes) -> SenderReport:
    """Reads the body after the common header. Raises PacketError."""
    if len(body) < _SENDER.size:
        raise PacketError("RTCP sender report is too short")
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(ssrc, ntp, timestamp, packets, octets, _parse_blocks(body, _SENDER.size, count))


def parse_receiver_report(count: int, body: bytes) -> ReceiverReport:
    """Reads the body after the common header. Raises PacketError."""
    if len(body) < 4:
        raise PacketError("RTCP receiver report is too short")
    return ReceiverReport(int.from_bytes(body[:4], "big"), _parse_blocks(body, 4, count))


def parse_source_description(count: int, body: bytes) -> SourceDescription:
    """Reads the body after the common header. Raises PacketError."""
    chunks = []
    position = 0
    try:
        for _ in range(count):
            if len(body) < position + 4:
                raise PacketError("RTCP description counts more sources than it carries")
            ssrc = int.from_bytes(body[position : position + 4], "big")
            position += 4
            items = []
            while body[position]:
                end = position + 2 + body[position + 1]
                if end > len(body):
                    raise PacketError("RTCP description item ends outside its packet")
                items.append((body[position], body[position + 2 : end]))
                position = end
            position += 4 - position % 4
            chunks.append(SdesChunk(ssrc, tuple(items)))
    except IndexError as error:
        raise PacketError("RTCP description ends inside an item") from error
    return SourceDescription(tuple(chunks))


def parse_goodbye(count: int, body: bytes) -> Goodbye:
    """Reads the body after the common header. Raises PacketError."""
    end = 4 * count
    if len(body) < end:
        raise PacketError("RTCP goodbye counts more sources than it carries")
    sources = tuple(int.from_bytes(body[i : i + 4], "big") for i in range(0, end, 4))
    reason = b""
    if len(body) > end:
        reason = body[end + 1 : end + 1 + body[end]]
        if len(reason) < body[end]:
            raise PacketError("RTCP goodbye reason ends outside its packet")
    return Goodbye(sources, reason)
