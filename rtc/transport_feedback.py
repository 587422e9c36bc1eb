"""Transport-wide feedback: when each packet of a path arrived
(draft-holmer-rmcat-transport-wide-cc-extensions-01).

Times are integers in microseconds; on the wire they are steps of 250 from a reference in steps of 64,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from rtc.errors import PacketError

FORMAT_TRANSPORT_WIDE: Final = 15
#: Microseconds of one step of a delta, and of the reference time, which wraps after 2**24 of them (12 days).
DELTA_US: Final = 250
REFERENCE_US: Final = 64_000
REFERENCE_WRAP: Final = 1 << 24
#: Packets that one feedback may speak of. A second of 20 Mbit/s has 2,200; more costs more work at once.
MAX_PACKETS: Final = 8192

_HEAD: Final = Struct("!IIHHI")
_NOT, _SMALL, _LARGE = 0, 1, 2
_TRANSPORT_FEEDBACK: Final = 205


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """`arrivals` belong to the numbers from `base_sequence` on: microseconds since the reference time,
    None for what did not arrive (yet). `reference` is in steps of 64 ms, modulo 2**24; `count` numbers the
    feedback."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference: int
    count: int
    arrivals: tuple[int | None, ...]

    def serialize(self) -> bytes:
        """Raises PacketError where it holds nothing, too much, or times too far apart for 16 bits."""
        if not 1 <= len(self.arrivals) <= MAX_PACKETS:
            raise PacketError("feedback speaks of no packets, or of too many")
        symbols: list[int] = []
        deltas = bytearray()
        before = 0
        for arrival in self.arrivals:
            if arrival is None:
                symbols.append(_NOT)
                continue
            step = arrival // DELTA_US - before
            before += step
            if 0 <= step <= 255:
                symbols.append(_SMALL)
                deltas.append(step)
            elif -32768 <= step <= 32767:
                symbols.append(_LARGE)
                deltas += step.to_bytes(2, "big", signed=True)
            else:
                raise PacketError("arrivals are too far apart for one feedback")
        head = _HEAD.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence & 0xFFFF,
            len(symbols),
            (self.reference % REFERENCE_WRAP) << 8 | self.count & 0xFF,
        )
        body = head + _chunks(symbols) + bytes(deltas)
        padding = -len(body) % 4
        if padding:
            body += bytes(padding - 1) + bytes((padding,))
        first = 0x80 | (0x20 if padding else 0) | FORMAT_TRANSPORT_WIDE
        return bytes((first, _TRANSPORT_FEEDBACK)) + (len(body) // 4).to_bytes(2, "big") + body


def _chunks(symbols: Sequence[int]) -> bytes:
    """Runs where they are long, else seven symbols of two bits, or fourteen of one (section 3.1.3, 3.1.4)."""
    out = bytearray()
    at, end = 0, len(symbols)
    while at < end:
        run = 1
        while at + run < end and run < 8191 and symbols[at + run] == symbols[at]:
            run += 1
        if run >= 14 or at + run == end:
            out += (symbols[at] << 13 | run).to_bytes(2, "big")
            at += run
            continue
        some = symbols[at : at + 14]
        word = 0x8000
        if _LARGE not in some:
            for place, symbol in enumerate(some):
                word |= symbol << (13 - place)
            at += 14
        else:
            word |= 0x4000
            for place, symbol in enumerate(some[:7]):
                word |= symbol << (12 - 2 * place)
            at += 7
        out += word.to_bytes(2, "big")
    return bytes(out)


def parse_transport_feedback(body: bytes) -> TransportFeedback:
    """Reads the body after the common header. Raises PacketError when a count in it lies."""
    if len(body) < _HEAD.size + 2:
        raise PacketError("transport feedback is too short")
    sender, media, base, count, tail = _HEAD.unpack_from(body)
    if not 1 <= count <= MAX_PACKETS:
        raise PacketError("transport feedback speaks of no packets, or of too many")
    symbols, at = _read_chunks(body, count)
    arrivals: list[int | None] = []
    time, end = 0, len(body)
    for symbol in symbols:
        if symbol == _NOT:
            arrivals.append(None)
        elif symbol == _SMALL:
            if at >= end:
                raise PacketError("transport feedback ends inside its times")
            time += body[at] * DELTA_US
            at += 1
            arrivals.append(time)
        else:
            if symbol != _LARGE or at + 2 > end:
                raise PacketError("transport feedback ends inside its times")
            step = body[at] << 8 | body[at + 1]
            time += (step - 0x10000 if step & 0x8000 else step) * DELTA_US
            at += 2
            arrivals.append(time)
    return TransportFeedback(sender, media, base, tail >> 8, tail & 0xFF, tuple(arrivals))


def _read_chunks(body: bytes, count: int) -> tuple[list[int], int]:
    """The symbols, and where the times begin."""
    symbols: list[int] = []
    at = _HEAD.size
    while len(symbols) < count:
        if at + 2 > len(body):
            raise PacketError("transport feedback ends inside its symbols")
        word = body[at] << 8 | body[at + 1]
        at += 2
        if not word & 0x8000:
            symbols += [word >> 13 & 3] * min(word & 0x1FFF, count - len(symbols))
            if not word & 0x1FFF:
                raise PacketError("transport feedback has a run of nothing")
        elif word & 0x4000:
            symbols += [word >> shift & 3 for shift in range(12, -2, -2)]
        else:
            symbols += [word >> shift & 1 for shift in range(13, -1, -1)]
    return symbols[:count], at


class FeedbackRecorder:
    """Notes arrivals and makes feedback of them. `arrived` at will, `build` every 50 to 100 ms."""

    #: Packets of one feedback: about 700 bytes at worst, which every path carries.
    MOST: Final = 300

    def __init__(self, sender_ssrc: int) -> None:
        self._sender = sender_ssrc
        self._highest: int | None = None  # unwrapped
        self._next: int | None = None  # the first number that no feedback spoke of
        self._times: dict[int, int] = {}  # unwrapped number -> arrival, since the last feedback
        self._count = 0

    def arrived(self, packets: Iterable[tuple[int, int]]) -> None:
        """(number of 16 bits, microseconds) in the order of arrival; of repeats the first counts."""
        for number, time in packets:
            highest = self._highest
            if highest is None:
                self._highest = self._next = whole = number
            else:
                ahead = (number - highest) & 0xFFFF
                whole = highest + ahead if ahead < 0x8000 else highest + ahead - 0x10000
                if whole > highest:
                    self._highest = whole
            self._times.setdefault(whole, time)

    def build(self, media_ssrc: int, now: int) -> list[TransportFeedback]:
        """Feedback about all that arrived since the last time; empty if nothing did. `now` is not looked at
        beyond saying that it is time."""
        if not self._times or self._next is None:
            return []
        times = self._times
        self._times = {}
        newest = max(times)
        # Of a long outage only its end is told: what is that old has been given up long ago.
        oldest = max(min(*times, self._next), newest - MAX_PACKETS + 1)
        self._next = max(self._next, newest + 1)
        packets: list[TransportFeedback] = []
        at = oldest
        while at <= newest:
            while at not in times and packets and at <= newest:
                at += 1  # gaps between packets of feedback were told by the one before, or begin the next
            packet, at = self._one(media_ssrc, times, at, newest)
            if packet is not None:
                packets.append(packet)
        return packets

    def _one(
        self, media_ssrc: int, times: dict[int, int], at: int, newest: int
    ) -> tuple[TransportFeedback | None, int]:
        end = min(at + self.MOST, newest + 1)
        first = next((times[n] for n in range(at, end) if n in times), None)
        if first is None:
            return None, end
        reference = first // REFERENCE_US
        arrivals: list[int | None] = []
        before = 0
        for number in range(at, end):
            time = times.get(number)
            if time is None:
                arrivals.append(None)
                continue
            steps = (time - reference * REFERENCE_US) // DELTA_US
            if not -32768 <= steps - before <= 32767:
                end = number  # too far apart: the next packet of feedback has a reference of its own
                break
            before = steps
            arrivals.append(steps * DELTA_US)
        self._count += 1
        packet = TransportFeedback(
            self._sender,
            media_ssrc,
            at & 0xFFFF,
            reference % REFERENCE_WRAP,
            (self._count - 1) & 0xFF,
            tuple(arrivals),
        )
        return packet, end
