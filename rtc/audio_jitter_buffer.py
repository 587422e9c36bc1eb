"""Puts packets of sound in order, and gives them out at the pace of the ear (docs/jitter-buffer.md)."""

from __future__ import annotations

from enum import Enum
from threading import Lock
from typing import Final, Literal

from rtc import opus
from rtc.errors import PacketError
from rtc.rtp import RtpPacket
from rtc.sequence import SequenceUnwrapper


class Lost(Enum):
    """What stands in for a packet that did not come in time: conceal it."""

    LOST = "lost"


LOST: Final = Lost.LOST

#: Seconds of one turn of `pop`, and of a packet that says nothing about its length.
FRAME: Final = 0.02

#: Seconds. Where the adaptive delay may go. A lower floor brings speakers closer together and stumbles over
#: the first jitter; a higher ceiling keeps sound whole on bad paths and makes people talk over each other.
MIN_TARGET: Final = 0.04
MAX_TARGET: Final = 0.2

#: Seconds by which the delay comes down for each second without jitter. Higher returns sooner to low delay,
#: and is surprised more often by jitter that comes in bursts.
TARGET_DECAY: Final = 0.005

#: Packets that wait at most (2 s of 20 ms). More would only ever be played far too late.
MAX_PACKETS: Final = 100

#: Packets a number may be away from the newest and still belong to the same stream.
MAX_JUMP: Final = 500

#: Seconds. A packet that waits longer is played whatever its timestamp says: senders' clocks may leap.
#: Lower cuts into delays that bad paths need; higher stays silent longer after a leap.
MAX_WAIT: Final = 0.4

#: Turns that are concealed when nothing comes at all; then it is silence, and buffering starts over.
MAX_CONCEALED: Final = 5

#: Turns over which too much delay must last before one packet is left out: 1 s.
SURPLUS_TURNS: Final = 50


class AudioJitterBuffer:
    """One stream of sound; packets may be added and popped by different threads.

    `target` is the delay in seconds to begin with; it follows the jitter between MIN_TARGET and MAX_TARGET.
    Counters in packets: received, lost, late, duplicates, skipped (left out to catch up); underruns in turns.
    """

    def __init__(self, clock_rate: int = opus.CLOCK_RATE, target: float = 0.06) -> None:
        self._clock_rate: Final = clock_rate
        self._frame: Final = round(FRAME * clock_rate)
        #: The delay aimed at, seconds.
        self.target = min(max(target, MIN_TARGET), MAX_TARGET)
        self.received = self.lost = self.late = self.duplicates = self.skipped = self.underruns = 0
        self._floor: Final = min(self.target, MIN_TARGET)
        self._packets: dict[int, tuple[int, float, RtpPacket]] = {}  # number -> timestamp, arrival, packet
        self._numbers = SequenceUnwrapper(16)
        self._times = SequenceUnwrapper(32)
        self._next: int | None = None  # number to be played next; None while buffering
        self._clock = 0  # timestamp to be played next
        self._concealed = 0
        self._last_was_dtx = False
        self._restart = -1
        self._surplus_turns = 0
        self._base: float | None = None  # the shortest transit seen, seconds
        self._base_time = 0.0
        self._lock: Final = Lock()

    @property
    def packets(self) -> int:
        """How many packets wait, 0..MAX_PACKETS."""
        return len(self._packets)

    @property
    def delay(self) -> float:
        """Seconds of sound between what is played next and the newest packet, that one included."""
        with self._lock:
            return self._delay()

    def _delay(self) -> float:
        if not self._packets:
            return 0.0
        newest = max(entry[0] for entry in self._packets.values())
        oldest = self._clock if self._next is not None else min(e[0] for e in self._packets.values())
        return max(0, newest - oldest + self._frame) / self._clock_rate

    def add(self, packet: RtpPacket, now: float) -> None:
        """Takes a packet, in any order, more than once."""
        with self._lock:
            self._add(packet, now)

    def _add(self, packet: RtpPacket, now: float) -> None:
        number = self._place(packet.sequence_number)
        if number is None or (self._next is not None and number < self._next):
            self.late += 1
            return
        if number in self._packets:
            self.duplicates += 1
            return
        timestamp = self._times.unwrap(packet.timestamp)
        self.received += 1
        self._packets[number] = (timestamp, now, packet)
        self._adapt(timestamp, now)
        if len(self._packets) > MAX_PACKETS:  # nobody plays: keep the newest
            oldest = min(self._packets)
            del self._packets[oldest]
            self.skipped += 1
            if self._next is not None:
                self._next = min(self._packets)
                self._clock = self._packets[self._next][0]

    def pop(self, now: float) -> RtpPacket | Literal[Lost.LOST] | None:
        """What to play next; call it whenever the sound of the last turn is used up, normally every 20 ms.

        A packet (which may last longer than 20 ms), LOST for 20 ms to conceal, or None for 20 ms of silence:
        nothing is there yet, or the sender is silent (DTX).
        """
        with self._lock:
            return self._pop(now)

    def _pop(self, now: float) -> RtpPacket | Literal[Lost.LOST] | None:
        if self._next is None and not self._begin(now):
            return None
        assert self._next is not None
        if not self._packets:
            return self._underrun()
        number = min(self._packets)
        timestamp, arrival, packet = self._packets[number]
        ahead = timestamp - self._clock
        if ahead < self._frame // 2 or now - arrival > MAX_WAIT:  # its turn, or past it
            return self._play(number, timestamp, packet)
        absent = number - self._next
        if absent and ahead <= absent * self._frame:
            self.lost += 1
            self._next += 1
            self._clock += self._frame
            return LOST
        # Silence of the sender: the clock goes on, twice as fast while there is more delay than needed.
        surplus = self._delay() > self.target + 2 * FRAME and ahead >= 2 * self._frame
        self._clock += 2 * self._frame if surplus else self._frame
        return None

    def _begin(self, now: float) -> bool:
        """True once enough waits to begin, or the first has waited for as long."""
        if not self._packets:
            return False
        waited = now - min(entry[1] for entry in self._packets.values())
        if self._delay() < self.target and waited < self.target - FRAME / 2:
            return False
        self._next = min(self._packets)
        self._clock = self._packets[self._next][0]
        self._surplus_turns = 0
        return True

    def _underrun(self) -> Literal[Lost.LOST] | None:
        self._clock += self._frame
        if self._last_was_dtx:
            return None
        self._concealed += 1
        self.underruns += 1
        if self._concealed <= MAX_CONCEALED:
            return LOST
        self._next = None
        return None

    def _play(self, number: int, timestamp: int, packet: RtpPacket) -> RtpPacket:
        assert self._next is not None
        self.lost += number - self._next
        del self._packets[number]
        if self._has_surplus() and self._packets and min(self._packets) == number + 1:
            number += 1
            timestamp, _, packet = self._packets.pop(number)
            self.skipped += 1
        self._next = number + 1
        self._concealed = 0
        self._last_was_dtx = opus.is_dtx(packet.payload)
        try:
            length = opus.duration(packet.payload) * self._clock_rate // opus.CLOCK_RATE
        except PacketError:
            length = self._frame
        self._clock = timestamp + length
        return packet

    def _has_surplus(self) -> bool:
        """True when the delay was more than needed for SURPLUS_TURNS packets in a row."""
        if self._delay() <= self.target + FRAME:
            self._surplus_turns = 0
            return False
        self._surplus_turns += 1
        if self._surplus_turns < SURPLUS_TURNS:
            return False
        self._surplus_turns = 0
        return True

    def _place(self, sequence_number: int) -> int | None:
        """The unwrapped number; None for a packet far too old. Two in a row far away are a new stream."""
        highest = self._numbers.highest
        number = self._numbers.peek(sequence_number)
        if highest is not None and abs(number - highest) > MAX_JUMP:
            if sequence_number != self._restart:
                self._restart = (sequence_number + 1) & 0xFFFF
                return None
            self._packets.clear()
            self._numbers = SequenceUnwrapper(16)
            self._times = SequenceUnwrapper(32)
            self._next = self._base = None
            self._restart = -1
        return self._numbers.unwrap(sequence_number)

    def _adapt(self, timestamp: int, now: float) -> None:
        """Raises the target at once to what this packet would have needed, lowers it slowly."""
        transit = now - timestamp / self._clock_rate
        elapsed = max(0.0, now - self._base_time)
        self._base_time = now
        if self._base is None or abs(transit - self._base) > 2.0:  # first, or the clock was set anew
            self._base = transit
            return
        # The base creeps upwards, so that a sender whose clock is slow does not look like jitter.
        self._base = min(transit, self._base + 0.0005 * elapsed)
        needed = transit - self._base + FRAME
        if needed > self.target:
            self.target = min(needed, MAX_TARGET)
        else:
            self.target = max(self.target - TARGET_DECAY * elapsed, self._floor)
