"""What one member and one room may send, from counters and not per packet. Pure; time in seconds.

Every 100 ms the router hands in what came since the last time, dropped or not. Who sends too much is paused,
the pictures first: a part of the packets would only be a broken picture. Its sound has an allowance of its
own, so it goes last. Others notice nothing: what is paused is forwarded to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

#: Seconds of its rate that a member may send at once. Key frames of three layers come together: less pauses
#: honest members, more lets floods through for longer.
BURST_S: Final = 1.0
#: Seconds that a pause lasts at most after the flood has ended. More punishes longer, less lets one who
#: floods in bursts through more often.
DEBT_S: Final = 2.0
#: Who was paused for its room comes back when the room with it is below this part of its limit. Lower is
#: calmer.
ROOM_CALM: Final = 0.9


@dataclass(frozen=True, slots=True)
class Rate:
    """An allowance: bit/s of whole datagrams, and packets a second. Small ones cost as much CPU."""

    bits: int
    packets: int


class RateCap:
    """A bucket of bits and one of packets; what does not fit becomes a debt that is paid off by time."""

    def __init__(self, rate: Rate) -> None:
        self._limits = (float(rate.bits), float(rate.packets))
        self._levels = [limit * BURST_S for limit in self._limits]
        self._at: float | None = None

    def measure(self, packets: int, octets: int, now: float) -> float:
        """Counts what came since the last call; seconds of pause from now on, 0.0 none."""
        passed = 0.0 if self._at is None else max(now - self._at, 0.0)
        self._at = now if self._at is None else max(self._at, now)
        pause = 0.0
        for place, (limit, came) in enumerate(zip(self._limits, (octets * 8, packets), strict=True)):
            level = min(self._levels[place] + passed * limit, limit * BURST_S) - came
            self._levels[place] = max(level, -limit * DEBT_S)
            pause = max(pause, -self._levels[place] / limit)
        return pause


class Came(NamedTuple):
    """What a member sent since the last time, whether it was forwarded or not; octets of whole datagrams."""

    sound_packets: int
    sound_octets: int
    other_packets: int
    other_octets: int


class Paused(NamedTuple):
    """Until when nothing of it is forwarded; a time that has passed is no pause."""

    pictures: float
    sound: float


class MemberCap:
    """The allowances of one member."""

    def __init__(self, sound: Rate, pictures: Rate) -> None:
        self._sound, self._pictures = RateCap(sound), RateCap(pictures)
        self._until = Paused(0.0, 0.0)
        self.pauses = 0  # how often one began, of pictures or of sound

    def measure(self, came: Came, now: float) -> Paused:
        """To be called every 100 ms. After a pause of pictures a key frame is due."""
        pictures = self._pictures.measure(came.other_packets, came.other_octets, now)
        sound = self._sound.measure(came.sound_packets, came.sound_octets, now)
        before = self._until
        self._until = Paused(
            now + pictures if pictures else min(before.pictures, now),
            now + sound if sound else min(before.sound, now),
        )
        self.pauses += (before.pictures <= now < self._until.pictures) + (
            before.sound <= now < self._until.sound
        )
        return self._until


class RoomCap:
    """All pictures that come into one room: over the limit those of the largest senders wait."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._paused: frozenset[str] = frozenset()

    def measure(self, rates: Mapping[str, float]) -> frozenset[str]:
        """Member -> bit/s that it sends, averaged over a second, forwarded or not; whose pictures wait."""
        total = sum(rates.values())
        if total <= self._bits * (ROOM_CALM if self._paused else 1.0):
            self._paused = frozenset()
            return self._paused
        waiting = set()
        for member in sorted(rates, key=lambda m: (-rates[m], m)):
            limit = self._bits * (ROOM_CALM if member in self._paused else 1.0)
            if total <= limit:
                break
            waiting.add(member)
            total -= rates[member]
        self._paused = frozenset(waiting)
        return self._paused
