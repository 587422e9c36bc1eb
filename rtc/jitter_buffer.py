"""Puts packets of pictures back in order: a frame is complete at its marker. See docs/jitter-buffer.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rtc import h264, vp8
from rtc.audio_jitter_buffer import LOST, AudioJitterBuffer, Lost
from rtc.errors import PacketError
from rtc.rtp import RtpPacket
from rtc.sequence import SequenceUnwrapper

__all__ = ["LOST", "AudioJitterBuffer", "EncodedFrame", "Lost", "VideoCodec", "VideoJitterBuffer"]

VideoCodec = Literal["VP8", "H264"]

#: Packets waiting in one stream. A key frame of 1080p has about 300; higher bridges larger holes and lets a
#: peer that never completes a frame hold more memory.
MAX_PACKETS: Final = 1024

#: Bytes waiting in one stream, for peers whose packets are larger than a path's MTU. Same trade-off.
MAX_BYTES: Final = 4 * 1024 * 1024

#: Packets a number may be away from the newest and still belong to the same stream. Higher survives longer
#: outages without a key frame; lower notices sooner that the sender started anew.
MAX_JUMP: Final = 2048


@dataclass(slots=True)
class EncodedFrame:
    """One coded picture, ready for the decoder.

    timestamp is the RTP timestamp unwrapped (it does not fall back to 0 after 2**32); arrivals are in
    monotonic seconds. H264 data is Annex B.
    """

    data: bytes
    timestamp: int
    key_frame: bool
    first_arrival: float
    last_arrival: float
    codec: VideoCodec = "VP8"


class _Part:
    """One packet in the buffer."""

    __slots__ = ("arrival", "begins", "data", "key", "marker", "timestamp")

    def __init__(
        self, data: bytes, timestamp: int, arrival: float, marker: bool, begins: bool, key: bool
    ) -> None:
        self.data = data
        self.timestamp = timestamp
        self.arrival = arrival
        self.marker = marker
        self.begins = begins  # may be the first packet of a frame
        self.key = key  # of a key frame


class _Run:
    """Packets present without a hole: from `first`, where a frame begins, up to before `next`."""

    __slots__ = ("first", "next")

    def __init__(self, first: int) -> None:
        self.first = first
        self.next = first


class VideoJitterBuffer:
    """The packets of one video stream in, whole frames in decoding order out.

    Counters: frames, dropped_frames (begun, never completed), late_packets, duplicate_packets,
    malformed_packets.
    """

    def __init__(self, codec: VideoCodec = "VP8") -> None:
        self.codec: Final = codec
        self.frames = 0
        self.dropped_frames = 0
        self.late_packets = 0
        self.duplicate_packets = 0
        self.malformed_packets = 0
        self._parts: dict[int, _Part] = {}
        self._bytes = 0
        self._numbers = SequenceUnwrapper(16)
        self._times = SequenceUnwrapper(32)
        self._main: _Run | None = None  # the frame that must come next
        self._key: _Run | None = None  # a later key frame that may overtake it
        self._taken: int | None = None  # packets before this number are of no use: what came out was later
        self._restart = -1  # the sequence number that would confirm a new start of the sender

    @property
    def needs_key_frame(self) -> bool:
        """True when nothing can be shown until the sender makes a key frame, and none is on its way."""
        return self._main is None and self._key is None

    @property
    def packets(self) -> int:
        """How many packets wait, 0..MAX_PACKETS."""
        return len(self._parts)

    @property
    def next_sequence_number(self) -> int | None:
        """The first sequence number that is still of use, 0..65535; None while any may be."""
        run = self._main or self._key
        return None if run is None else run.first & 0xFFFF

    def add(self, packet: RtpPacket, now: float) -> list[EncodedFrame]:
        """Takes a packet (in any order, more than once) and gives the frames that it completes."""
        number = self._place(packet.sequence_number)
        if number is None:
            return []
        if number in self._parts:
            self.duplicate_packets += 1
            return []
        try:
            part = self._read(packet, now)
        except PacketError:
            self.malformed_packets += 1
            return []
        self._parts[number] = part
        self._bytes += len(part.data)
        if part.begins and part.key:
            self._note_key_frame(number, part)
        frames = self._advance()
        if len(self._parts) >= MAX_PACKETS or self._bytes > MAX_BYTES:
            self._make_room()
        return frames

    def give_up(self, now: float) -> list[EncodedFrame]:
        """A missing packet will not come: goes on at the next key frame that has begun to arrive, if any.

        Does nothing when nothing is missing. Returns the frames that can be shown at once.
        """
        given_up = self._main or self._key
        if given_up is None or not self.blocked:
            return []
        first = given_up.first
        self._main = None
        if self._key is not None and self._key.first <= first:
            self._key = None
        if self._key is None:
            later = [n for n, part in self._parts.items() if n > first and part.begins and part.key]
            self._key = _Run(max(later)) if later else None
        self._forget_before(None if self._key is None else self._key.first)
        return self._advance()

    @property
    def blocked(self) -> bool:
        """True when packets wait behind a hole."""
        run = self._main or self._key
        highest = self._numbers.highest
        return run is not None and highest is not None and run.next <= highest and bool(self._parts)

    def _place(self, sequence_number: int) -> int | None:
        """The unwrapped number, or None when the packet is of no use any more."""
        highest = self._numbers.highest
        number = self._numbers.peek(sequence_number)
        if highest is not None and abs(number - highest) > MAX_JUMP:
            if number < highest and sequence_number != self._restart:
                self._restart = (sequence_number + 1) & 0xFFFF
                self.late_packets += 1
                return None
            self._reset()
        number = self._numbers.unwrap(sequence_number)
        run = self._main or self._key
        first_of_use = self._taken if run is None else run.first
        if first_of_use is not None and number < first_of_use:
            self.late_packets += 1
            return None
        return number

    def _read(self, packet: RtpPacket, now: float) -> _Part:
        timestamp = self._times.unwrap(packet.timestamp)
        payload = packet.payload
        if not payload:  # padding that the sender probes the path with: holds a number, carries nothing
            return _Part(b"", timestamp, now, False, False, False)
        if self.codec == "VP8":
            descriptor, data = vp8.depacketize(payload)
            begins = descriptor.starts_frame
            return _Part(data, timestamp, now, packet.marker, begins, begins and vp8.is_key_frame(data))
        units, data = h264.depacketize(payload)
        begins = units.starts_key_frame
        return _Part(data, timestamp, now, packet.marker, begins, begins or units.idr)

    def _note_key_frame(self, number: int, part: _Part) -> None:
        """Remembers the newest key frame that has begun to arrive, unless it is the frame in hand."""
        if self._main is not None and number < self._main.next:
            return
        if self._key is not None:
            known = self._parts.get(self._key.first)
            if number < self._key.first or (known is not None and known.timestamp == part.timestamp):
                return
        self._key = _Run(number)

    def _advance(self) -> list[EncodedFrame]:
        """Takes out every frame that is complete."""
        frames: list[EncodedFrame] = []
        while True:
            run = self._main
            if run is None or not self._scan(run):
                run = self._key
                if run is None or not self._scan(run):
                    return frames
                self._forget_before(run.first)  # the key frame overtakes what was in hand
            frame = self._take(run)
            if frame is not None:
                frames.append(frame)

    def _scan(self, run: _Run) -> bool:
        """Moves run.next over what is present; True when it stands behind a whole frame."""
        parts = self._parts
        first: _Part | None = parts.get(run.first)
        while (part := parts.get(run.next)) is not None:
            if not part.data and run.first == run.next:  # padding between frames
                del parts[run.next]
                run.first = run.next = run.next + 1
                first = parts.get(run.first)
                continue
            if part.data and first is not None and part.timestamp != first.timestamp:
                return True  # the sender set no marker
            run.next += 1
            if part.marker:
                return True
        return False

    def _take(self, run: _Run) -> EncodedFrame | None:
        """Takes the whole frame [run.first, run.next) out; None when it does not begin as a frame must."""
        parts = [self._parts.pop(number) for number in range(run.first, run.next)]
        self._bytes -= sum(len(part.data) for part in parts)
        self._main = _Run(run.next)
        self._taken = run.next
        if self._key is not None and self._key.first < run.next:
            self._key = None
        first = parts[0]
        if self.codec == "VP8" and not first.begins:
            self.dropped_frames += 1
            self._main = None
            return None
        self.frames += 1
        return EncodedFrame(
            b"".join([part.data for part in parts]),
            first.timestamp,
            any(part.key for part in parts),
            min(part.arrival for part in parts),
            max(part.arrival for part in parts),
            self.codec,
        )

    def _make_room(self) -> None:
        """Forgets the oldest when too much waits: a bounded buffer, at the price of a key frame."""
        if self._main is None and self._key is None:
            numbers = sorted(self._parts)
            self._forget_before(numbers[len(numbers) // 2])
            return
        self.give_up(0.0)
        if len(self._parts) > MAX_PACKETS // 2 or self._bytes > MAX_BYTES // 2:
            self._main = self._key = None
            self._forget_before(None)

    def _forget_before(self, limit: int | None) -> None:
        """Drops the packets before a number, all of them for None."""
        old = [number for number in self._parts if limit is None or number < limit]
        dropped = [self._parts.pop(number) for number in old]
        self._bytes -= sum(len(part.data) for part in dropped)
        self.dropped_frames += len({part.timestamp for part in dropped if part.data})

    def _reset(self) -> None:
        """The sender started anew: nothing that came before fits to what comes."""
        self._main = self._key = None
        self._forget_before(None)
        self._numbers = SequenceUnwrapper(16)
        self._taken = None
        self._restart = -1
