"""Transport-wide feedback: when each packet of a path arrived.

After draft-holmer-rmcat-transport-wide-cc-extensions-01: a receiver tells of every packet that bore a
transport-wide number, in RTCP (PT 205, FMT 15), that it was lost or arrived at a time in ticks of 250
microseconds. `TransportFeedback` is that packet; `FeedbackRecorder` makes them from arrivals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct, pack
from typing import Final

from rtc.errors import PacketError
from rtc.rtcp_feedback import TRANSPORT_FEEDBACK
from rtc.rtcp_reports import frame_packet
from rtc.sequence import SequenceUnwrapper

FORMAT_TRANSPORT_WIDE: Final = 15

#: Microseconds of a tick, and ticks of a unit of the reference time (64 ms): fixed by the draft.
TICK: Final = 250
REFERENCE_TICKS: Final = 256

#: Packets that one feedback may report, and all feedback of one datagram: as many as a sender remembers. More
#: lets a receiver make us work longer for a few bytes (two of them can report 8,191 losses).
MAX_REPORTED: Final = 8192

#: Microseconds between two pieces of feedback. Lower tells the sender of a full queue sooner and costs it and
#: us a packet of RTCP more a second and path; over 250 ms the sender's estimate becomes sluggish.
INTERVAL: Final = 100_000
#: Packets that wait for feedback before it goes out ahead of its time. Lower costs more RTCP on fast paths,
#: higher makes them react later.
AT_ONCE: Final = 400
#: Bytes of one feedback: fits the smallest path's MTU with room for SRTCP.
MAX_FEEDBACK_SIZE: Final = 1200
#: Transport-wide numbers behind the newest that are still reported: losses further back, as after an outage
#: or of a sender that jumps, are not told. Higher tells more of long outages and costs memory and time for
#: each peer.
MAX_GAP: Final = 2000
#: Microseconds for which an arrival is remembered after it was reported, so that it is not called lost in a
#: later feedback that begins before it, for the sake of one that was overtaken. Lower forgets within slow
#: reordering.
KEEP: Final = 500_000

_HEADER: Final = Struct("!IIHHI")
_LOST, _SMALL, _LARGE = 0, 1, 2
#: The symbols of one byte of a status vector, one and two bits each.
_ONE_BIT: Final = [bytes(byte >> shift & 1 for shift in range(7, -1, -1)) for byte in range(256)]
_TWO_BITS: Final = [bytes(byte >> shift & 3 for shift in (6, 4, 2, 0)) for byte in range(256)]


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """What became of the packets numbered from `base_sequence` (16 bits) on.

    `arrivals` are ticks of 250 us since `reference` x 64 ms of the receiver's clock, None for a loss.
    `reference` has 24 bits and wraps every 12.4 days. `count` numbers the feedback of a path, 0..255.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference: int
    count: int
    arrivals: tuple[int | None, ...]

    def serialize(self) -> bytes:
        """Raises PacketError where there is nothing to report, more than MAX_REPORTED, or two neighbours that
        arrived more than 8.19 s apart: the format has no room for that.
        """
        if not 0 < len(self.arrivals) <= MAX_REPORTED:
            raise PacketError("transport-wide feedback reports nothing or too much")
        symbols, deltas = _symbols(self.arrivals)
        body = _HEADER.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence & 0xFFFF,
            len(self.arrivals),
            (self.reference & 0xFFFFFF) << 8 | self.count & 0xFF,
        )
        body += _chunks(symbols) + deltas
        return frame_packet(TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_WIDE, body + bytes(-len(body) % 4))


def _symbols(arrivals: tuple[int | None, ...]) -> tuple[bytes, bytes]:
    """The status of each packet, and the deltas of those that arrived."""
    symbols, deltas = bytearray(), bytearray()
    last = 0
    for arrival in arrivals:
        if arrival is None:
            symbols.append(_LOST)
            continue
        delta = arrival - last
        last = arrival
        if 0 <= delta <= 0xFF:
            symbols.append(_SMALL)
            deltas.append(delta)
        elif -0x8000 <= delta <= 0x7FFF:
            symbols.append(_LARGE)
            deltas += pack("!h", delta)
        else:
            raise PacketError("transport-wide feedback reports arrivals too far apart")
    return bytes(symbols), bytes(deltas)


def _chunks(symbols: bytes) -> bytes:
    """Runs where they are long, else vectors: 14 packets of one bit, or 7 of two where a delta is large."""
    chunks: list[int] = []
    position, size = 0, len(symbols)
    while position < size:
        symbol = symbols[position]
        rest = symbols[position : position + 0x1FFF]
        run = len(rest) - len(rest.lstrip(rest[:1]))
        vector = symbols[position : position + 14]
        if run >= 14 or run == size - position or (run >= 7 and _LARGE in vector):
            chunks.append(symbol << 13 | run)
            position += run
        elif _LARGE not in vector:
            chunks.append(0x8000 | int(vector.ljust(14, b"\0").translate(_DIGITS), 2))
            position += 14
        else:
            chunks.append(0xC000 | int(vector[:7].ljust(7, b"\0").translate(_DIGITS), 4))
            position += 7
    return pack(f"!{len(chunks)}H", *chunks)


_DIGITS: Final = b"0123" + bytes(252)


def parse_transport_feedback(body: bytes) -> TransportFeedback:
    """Reads the body after the common header; padding behind the deltas is passed over, whatever it is.

    Raises PacketError when a length in it lies, a status is the reserved one, or more than MAX_REPORTED
    packets are reported.
    """
    if len(body) < _HEADER.size + 2:
        raise PacketError("transport-wide feedback is too short")
    sender, media, first, count, times = _HEADER.unpack_from(body)
    if not 0 < count <= MAX_REPORTED:
        raise PacketError("transport-wide feedback reports nothing or too much")
    symbols, position = _read_symbols(body, count)
    if len(body) - position < symbols.count(_SMALL) + 2 * symbols.count(_LARGE):
        raise PacketError("transport-wide feedback ends inside its deltas")
    if symbols.count(_SMALL) == count:  # the usual one: nothing lost, nothing late
        arrivals = tuple(accumulate(body[position : position + count]))
        return TransportFeedback(sender, media, first, times >> 8, times & 0xFF, arrivals)
    found: list[int | None] = []
    ticks = 0
    for symbol in symbols:
        if symbol == _SMALL:
            ticks += body[position]
            position += 1
            found.append(ticks)
        elif symbol == _LOST:
            found.append(None)
        elif symbol == _LARGE:
            ticks += (body[position] << 8 | body[position + 1]) - ((body[position] & 0x80) << 9)
            position += 2
            found.append(ticks)
        else:
            raise PacketError("transport-wide feedback has a status that is reserved")
    return TransportFeedback(sender, media, first, times >> 8, times & 0xFF, tuple(found))


def feedback_only(data: bytes) -> list[TransportFeedback]:
    """The packets of a datagram of RTCP in which there is nothing else; [] where there is. Raises PacketError
    where a length lies, or more than MAX_REPORTED packets are reported: then nothing of it counts.
    """
    bodies: list[bytes] = []
    position = 0
    while position < len(data):
        # Browsers set the padding bit for the bytes behind the deltas.
        if len(data) - position < 4 or data[position + 1] != TRANSPORT_FEEDBACK:
            return []
        if data[position] & 0xDF != 0x80 | FORMAT_TRANSPORT_WIDE:
            return []
        end = position + 4 + 4 * int.from_bytes(data[position + 2 : position + 4], "big")
        bodies.append(data[position + 4 : end])
        position = end
    if position > len(data):
        raise PacketError("RTCP packet is longer than its datagram")
    reports = [parse_transport_feedback(body) for body in bodies]
    if sum(len(report.arrivals) for report in reports) > MAX_REPORTED:
        raise PacketError("RTCP datagram reports on too many packets")
    return reports


def _read_symbols(body: bytes, count: int) -> tuple[bytes, int]:
    """The status of each packet, and where the deltas begin."""
    pieces: list[bytes] = []
    position, have = _HEADER.size, 0
    while have < count:
        if len(body) - position < 2:
            raise PacketError("transport-wide feedback ends inside its statuses")
        high, low = body[position], body[position + 1]
        position += 2
        if high < 0x80:
            piece = bytes((high >> 5,)) * min((high & 0x1F) << 8 | low, count - have)
            if not piece:
                raise PacketError("transport-wide feedback has a run of nothing")
        elif high < 0xC0:
            piece = _ONE_BIT[high][2:] + _ONE_BIT[low]
        else:
            piece = _TWO_BITS[high][1:] + _TWO_BITS[low]
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)[:count], position


class FeedbackRecorder:
    """The receiving end of a path: takes arrivals, gives feedback when it is due. Times in microseconds."""

    def __init__(self, sender_ssrc: int, *, interval: int = INTERVAL, at_once: int = AT_ONCE) -> None:
        self._sender_ssrc: Final = sender_ssrc
        self._interval: Final = interval
        self._at_once: Final = at_once
        self._numbers: Final = SequenceUnwrapper()
        self._arrived: dict[int, int] = {}  # unwrapped number -> time, what was reported a moment ago too
        self._waiting: set[int] = set()
        self._next: int | None = None  # the first number that was not reported yet
        self._due = 0
        self._sent = 0
        self.duplicates = 0
        self.too_old = 0

    def arrived(self, arrivals: Iterable[tuple[int, int]]) -> None:
        """(transport-wide number, time of arrival) of packets, in the order of arrival."""
        arrived, waiting, unwrap = self._arrived, self._waiting, self._numbers.unwrap
        for wire_number, time in arrivals:
            number = unwrap(wire_number)
            if number in arrived:
                self.duplicates += 1
                continue
            arrived[number] = time
            waiting.add(number)
        highest = self._numbers.highest
        if highest is not None and len(arrived) > 2 * MAX_GAP:
            self._forget(highest - MAX_GAP, 0)

    def build(self, media_ssrc: int, now: int) -> list[TransportFeedback]:
        """The feedback to send, each of at most MAX_FEEDBACK_SIZE bytes; none while it is not due. Call it on
        each tick. `media_ssrc` is any SSRC of the path's sender.
        """
        highest = self._numbers.highest
        early = now < self._due - self._interval // 8  # a tick may come a little sooner than the last one did
        if not self._waiting or highest is None or (early and len(self._waiting) < self._at_once):
            return []
        self._due = now + self._interval
        self._forget(highest - MAX_GAP, now - KEEP)
        if not self._waiting:
            return []
        first, last = min(self._waiting), max(self._waiting)
        if self._next is not None and self._next < first:  # what is missing since the last feedback is lost
            first = min(first, max(self._next, last - MAX_GAP))
        self._next = max(last + 1, self._next or 0)
        self._waiting.clear()
        reports: list[TransportFeedback] = []
        while first <= last:
            report = self._report(media_ssrc, first, last)
            reports.append(report)
            first += len(report.arrivals)
        return reports

    def _forget(self, oldest: int, reported_before: int) -> None:
        """Drops what is too far behind, and what was reported long ago."""
        arrived, waiting = self._arrived, self._waiting
        for number in [n for n in arrived if n < oldest]:
            del arrived[number]
            if number in waiting:
                waiting.discard(number)
                self.too_old += 1
        for number in [n for n, time in arrived.items() if time < reported_before and n not in waiting]:
            del arrived[number]

    def _report(self, media_ssrc: int, first: int, last: int) -> TransportFeedback:
        """As much of first..last as fits into one feedback."""
        arrived = self._arrived
        arrivals: list[int | None] = []
        reference: int | None = None
        previous = 0
        size = 4 + _HEADER.size + 2 + 3
        for number in range(first, last + 1):
            time = arrived.get(number)
            if time is None:
                arrivals.append(None)
            else:
                tick = time // TICK
                if reference is None:
                    reference = tick // REFERENCE_TICKS
                    previous = reference * REFERENCE_TICKS
                delta = tick - previous
                if not -0x8000 <= delta <= 0x7FFF:
                    break  # the next feedback begins with it
                previous = tick
                size += 1 if 0 <= delta <= 0xFF else 2
                arrivals.append(tick - reference * REFERENCE_TICKS)
            if size + 2 * (len(arrivals) // 7 + 1) > MAX_FEEDBACK_SIZE:
                break
        self._sent += 1
        return TransportFeedback(
            self._sender_ssrc,
            media_ssrc,
            first & 0xFFFF,
            (reference or 0) & 0xFFFFFF,
            self._sent - 1 & 0xFF,
            tuple(arrivals),
        )
