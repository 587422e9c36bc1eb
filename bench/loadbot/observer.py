"""Checks one stream packet by packet, without a decoder: order, gaps, whole frames, sender, age.

Cheap on purpose: a process watches ten thousand packets a second and more. What it sees is what the path
brought, before any repair.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Final, Literal

from bench.loadbot.delays import Delays
from bench.loadbot.stamp import read_stamp
from rtc.rtcp import ReportBlock
from rtc.vp8 import starts_key_frame

_HEADER: Final = struct.Struct(">BBHII")
#: Missing numbers and senders that are remembered; a stream worse than that is broken anyway.
_REMEMBERED: Final = 4096
_SENDERS: Final = 16


@dataclass(slots=True)
class Findings:
    """Counts over one stream, or summed over many."""

    streams: int = 0
    packets: int = 0
    lost: int = 0  # gaps in the sequence numbers that nothing filled later
    reordered: int = 0  # came later than a packet with a higher number
    duplicates: int = 0
    malformed: int = 0
    frames: int = 0  # whole pictures, or packets of sound
    incomplete_frames: int = 0
    skipped_frames: int = 0  # by the sender's own count, also where the sequence numbers hide it
    backward_frames: int = 0  # by the sender's own count: out of order
    unstamped: int = 0
    wrong_sender: int = 0
    not_from_key_frame: int = 0  # streams of pictures that began in the middle

    def add(self, other: Findings) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


class StreamObserver:
    """One SSRC. `sender` may be told later; None means that it must be always the same one."""

    def __init__(self, kind: Literal["audio", "video"], delays: Delays, sender: int | None = None) -> None:
        self.kind: Final = kind
        self.sender = sender
        self._delays = delays
        self._found = Findings(streams=1)
        self._senders: Counter[int] = Counter()
        self._missing: set[int] = set()
        self._lost_beyond = 0
        self._highest: int | None = None  # unwrapped
        self._whole = False  # everything of the current picture came, so far
        self._last_number: int | None = None

    @property
    def packets(self) -> int:
        return self._found.packets

    @property
    def findings(self) -> Findings:
        """As of now."""
        found = self._found
        found.lost = len(self._missing) + self._lost_beyond
        stamped = self._senders.total()
        most = max(self._senders.values(), default=0)
        right = most if self.sender is None else self._senders[self.sender]
        found.wrong_sender = stamped - right
        return found

    def packet(self, data: bytes, now: float) -> None:
        """Takes one decrypted RTP packet and when it came, in seconds of the monotonic clock."""
        begin = payload_offset(data)
        if begin is None:
            self._found.malformed += 1
            return
        first, second, sequence, _, _ = _HEADER.unpack_from(data)
        payload = data[begin : len(data) - data[-1]] if first & 0x20 else data[begin:]
        self._found.packets += 1
        step = self._number(sequence)
        if self.kind == "audio":
            self._found.frames += step > 0
            self._stamp(payload, now, step)
        elif step > 0:
            self._picture(payload, bool(second & 0x80), step, now)

    def report_block(self, ssrc: int) -> ReportBlock | None:
        """What a receiver report says of the stream (RFC 3550 section 6.4.1), without jitter and losses."""
        if self._highest is None:
            return None
        return ReportBlock(ssrc, 0, 0, self._highest & 0xFFFFFFFF, 0, 0, 0)

    def _number(self, sequence: int) -> int:
        """How far the sequence number went on: 1 is the next one, 0 is not new."""
        if self._highest is None:
            self._highest = 0x10000 | sequence
            return 1
        ahead = (sequence - self._highest) & 0xFFFF
        if 0 < ahead < 0x8000:
            for number in range(self._highest + 1, self._highest + ahead):
                if len(self._missing) < _REMEMBERED:
                    self._missing.add(number)
                else:
                    self._lost_beyond += 1
            self._highest += ahead
            return ahead
        number = self._highest - ((self._highest - sequence) & 0xFFFF)
        if number in self._missing:
            self._missing.remove(number)
            self._found.reordered += 1
        else:
            self._found.duplicates += 1
        return 0

    def _picture(self, payload: bytes, last: bool, step: int, now: float) -> None:
        begins = bool(payload) and payload[0] & 0x17 == 0x10
        if self._found.packets == 1 and not starts_key_frame(payload):
            self._found.not_from_key_frame = 1
        self._whole = begins or (self._whole and step == 1)
        if not last:
            return
        if self._whole:
            self._found.frames += 1
        else:
            self._found.incomplete_frames += 1
        self._whole = False
        self._stamp(payload, now, step)

    def _stamp(self, payload: bytes, now: float, step: int) -> None:
        stamp = read_stamp(payload)
        if stamp is None:
            self._found.unstamped += 1
            return
        if stamp.sender in self._senders or len(self._senders) < _SENDERS:
            self._senders[stamp.sender] += 1
        self._delays.add(now - stamp.time)
        if step <= 0:
            return
        if self._last_number is not None:
            ahead = stamp.number - self._last_number
            if ahead > 1:
                self._found.skipped_frames += ahead - 1
            elif ahead < 1:
                self._found.backward_frames += 1
        self._last_number = stamp.number


def payload_offset(data: bytes) -> int | None:
    """Where the payload of an RTP packet begins (RFC 3550 section 5.1); None when it has none."""
    if len(data) < 13 or data[0] >> 6 != 2:
        return None
    begin = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < begin + 4:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    end = len(data) - (data[-1] if data[0] & 0x20 else 0)
    return begin if begin < end else None
