"""Which packets are missing, when to ask for them again, when to stop (RFC 4585 section 6.2.1)."""

from __future__ import annotations

from typing import Final

from rtc.sequence import SequenceUnwrapper

#: Seconds. Packets that only changed places on the way arrive within this and are not asked for. Higher asks
#: for fewer packets in vain on paths that reorder; every repair starts that much later.
REORDER_GRACE: Final = 0.01

#: Seconds. A repeat never comes sooner, however short the round trip. Lower floods a path that is full.
MIN_RETRY: Final = 0.02

#: Requests for one packet. Higher repairs more on bad paths.
MAX_TRIES: Final = 8

#: Seconds. A packet missing longer is given up: the picture stands still until then, so higher freezes longer
#: before a key frame is asked for; lower asks for expensive key frames where a repeat would have done.
MAX_AGE: Final = 0.5

#: Packets missing at once. A larger hole is not worth repairing (a key frame is cheaper).
MAX_MISSING: Final = 256


#: Packets. Two in a row that are further behind the newest are a sender that started anew.
MAX_BEHIND: Final = 2048

#: The part of a new measurement in the round trip time. Higher follows changes faster, and outliers too.
RTT_GAIN: Final = 0.125


class _Missing:
    __slots__ = ("asked", "first_asked", "noticed", "tries")

    def __init__(self, noticed: float) -> None:
        self.noticed = noticed
        self.first_asked = 0.0
        self.asked = 0.0
        self.tries = 0


class NackTracker:
    """Watches the sequence numbers of one stream.

    `rtt` (seconds) follows the time from request to repeat; it may also be set when it is known better.
    """

    __slots__ = (
        "_missing",
        "_restart",
        "_unwrapper",
        "grace",
        "lost_for_good",
        "max_age",
        "max_tries",
        "recovered",
        "requested",
        "rtt",
    )

    def __init__(
        self,
        *,
        rtt: float = 0.05,
        grace: float = REORDER_GRACE,
        max_tries: int = MAX_TRIES,
        max_age: float = MAX_AGE,
    ) -> None:
        self.rtt = rtt
        self.grace = grace
        self.max_tries = max_tries
        self.max_age = max_age
        #: Packets given up, packets that came after they were asked for, and requests for a packet made.
        self.lost_for_good = 0
        self.recovered = 0
        self.requested = 0
        self._missing: dict[int, _Missing] = {}  # by unwrapped number, ascending
        self._unwrapper = SequenceUnwrapper(16)
        self._restart = -1  # the sequence number that would confirm a new start

    @property
    def missing(self) -> int:
        """How many packets are being waited for, 0..MAX_MISSING."""
        return len(self._missing)

    def received(self, sequence_number: int, now: float) -> bool:
        """Notes a packet, however it came. True when it was a missing one."""
        highest = self._unwrapper.highest
        number = self._unwrapper.unwrap(sequence_number)
        if highest is None or number == highest + 1:
            return False
        if number <= highest:
            if highest - number > MAX_BEHIND:
                self._far_behind(sequence_number)
                return False
            entry = self._missing.pop(number, None)
            if entry is not None and entry.tries:
                self.recovered += 1
                self.rtt += (now - entry.first_asked - self.rtt) * RTT_GAIN
            return entry is not None
        gap = number - highest - 1
        if gap + len(self._missing) > MAX_MISSING:
            self.lost_for_good += gap + len(self._missing)
            self._missing.clear()
            return False
        for absent in range(highest + 1, number):
            self._missing[absent] = _Missing(now)
        return False

    def _far_behind(self, sequence_number: int) -> None:
        if sequence_number == self._restart:
            self.reset()
            self._unwrapper.unwrap(sequence_number)
        else:
            self._restart = (sequence_number + 1) & 0xFFFF

    def due(self, now: float) -> tuple[int, ...]:
        """The sequence numbers to ask for now, oldest first; asking counts as a try for each."""
        if not self._missing:
            return ()
        wait = max(1.25 * self.rtt, MIN_RETRY)  # repeats vary in how long they take
        numbers: list[int] = []
        hopeless: list[int] = []
        for number, entry in self._missing.items():
            age = now - entry.noticed
            if age > self.max_age or (entry.tries >= self.max_tries and now - entry.asked >= wait):
                hopeless.append(number)
            elif entry.tries < self.max_tries and (
                now - entry.asked >= wait if entry.tries else age >= self.grace
            ):
                if not entry.tries:
                    entry.first_asked = now
                entry.tries += 1
                entry.asked = now
                numbers.append(number & 0xFFFF)
        for number in hopeless:
            del self._missing[number]
        self.lost_for_good += len(hopeless)
        self.requested += len(numbers)
        return tuple(numbers)

    def forget_before(self, sequence_number: int) -> None:
        """What precedes this packet is no longer wanted (a later key frame has replaced it)."""
        if not self._missing:
            return
        limit = self._unwrapper.peek(sequence_number)
        for number in [n for n in self._missing if n < limit]:
            del self._missing[number]

    def reset(self) -> None:
        """Forgets the stream; the next packet is the first of a new one. The counters stay."""
        self._missing.clear()
        self._unwrapper = SequenceUnwrapper(16)
        self._restart = -1
