"""Which packets are sent again to one receiver, and how many of them its path bears. Pure; microseconds."""

from __future__ import annotations

from typing import Final

#: Numbers that are remembered as sent again a moment ago. More remembers longer and costs memory.
REMEMBERED: Final = 512
#: Microseconds between two key frames that are asked for because too much is missing. Shorter is seen sooner,
#: and a key frame takes as much of a thin path as many repairs.
GIVEN_UP_US: Final = 1_000_000
#: Part of a path that repairs may have at least; they may have all that the media does not use. Higher
#: repairs more of what is lost on a full path, and makes it fuller.
PART: Final = 0.2
#: Bits taken for a packet, packets at once at least, and microseconds of the rate that may be sent at once.
PACKET_BITS: Final = 8_800
AT_ONCE: Final = 16
BURST_US: Final = 300_000


class Repairs:
    """What was sent again to one receiver in one section, lately."""

    __slots__ = ("_asked", "_sent")

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}  # number -> when
        self._asked = -GIVEN_UP_US

    def fresh(self, lost: tuple[int, ...], again_after: int, now: int) -> tuple[int, ...]:
        """Those of `lost` that are not on their way: a receiver that knows no round trip asks too often."""
        sent = self._sent
        return tuple(n for n in lost if n not in sent or now - sent[n] >= again_after)

    def sent(self, numbers: tuple[int, ...], now: int) -> None:
        """These have just been sent again."""
        for number in numbers:
            self._sent.pop(number, None)
            self._sent[number] = now
        while len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def given_up(self, now: int) -> bool:
        """Too much is missing: whether a key frame is to be asked for instead."""
        if now - self._asked < GIVEN_UP_US:
            return False
        self._asked = now
        return True


class RepairBudget:
    """How many packets of repair one path bears."""

    __slots__ = ("_at", "_level")

    def __init__(self) -> None:
        self._level, self._at = float(AT_ONCE), 0

    def take(self, asked: int, capacity: float, used: float, now: int) -> int:
        """As many of `asked` as may be sent; `capacity` of the path and what of it is `used` in bit/s."""
        rate = max(capacity - used, capacity * PART) / PACKET_BITS  # packets a second
        full = max(rate * BURST_US / 1e6, float(AT_ONCE))
        self._level = min(full, self._level + rate * (now - self._at) / 1e6)
        self._at = now
        taken = min(asked, int(self._level))
        self._level -= taken
        return taken
