"""Checks one stream packet by packet, without a decoder: order, gaps, repairs; frames.py has the pictures.

Cheap on purpose: a process watches tens of thousands of packets a second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from bench.loadbot.delays import Delays
from bench.loadbot.findings import Findings
from bench.loadbot.frames import PictureChecks, SoundChecks
from rtc.fanout import Flag

_EMPTY: Final = int(Flag.EMPTY)
_REPAIRED: Final = int(Flag.REPAIRED)
_KEY_START: Final = int(Flag.KEY_START)
_NEEDED: Final = int(Flag.FRAME_START)
#: Missing numbers, and packets held behind them, that are remembered; a stream worse than that is broken.
_REMEMBERED: Final = 2048
#: Seconds: before the first request for a missing packet (it may only have been overtaken), between two, and
#: until it is given up; sooner where a key frame waits behind it.
_GRACE, _RETRY, _GIVE_UP, _GIVE_UP_AT_KEY = 0.01, 0.04, 0.5, 0.1
#: Seconds between two requests for a key frame.
_ASK_AGAIN: Final = 0.3
#: Numbers of sound that a late packet may be behind.
_LATE: Final = 100

#: Gives the decrypted packet of a record of the batch at hand.
Read = Callable[[int], bytes]


class StreamObserver:
    """One SSRC. `senders` who may be heard in it; None means that it must be always the same one."""

    def __init__(
        self, kind: Literal["audio", "video"], delays: Delays | None, senders: frozenset[int] | None = None
    ) -> None:
        self.kind: Final = kind
        self.found = Findings()
        checks = PictureChecks if kind == "video" else SoundChecks
        self.checks = checks(self.found, delays, senders)
        self.packets = 0
        self._video = kind == "video"
        self._next: int | None = None  # unwrapped number that continues what was checked
        self._missing: dict[int, list[float]] = {}  # number -> noticed, asked
        self._held: dict[int, tuple[int, int, bytes]] = {}  # behind a gap: flags, timestamp, bytes
        self._given_up: set[int] = set()
        self._asked_key = -1e9

    @property
    def senders(self) -> frozenset[int] | None:
        return self.checks.senders

    @senders.setter
    def senders(self, value: frozenset[int] | None) -> None:
        self.checks.senders = value

    def only(self, senders: frozenset[int]) -> None:
        """From now on these only; who was heard before does not count."""
        self.checks.only(senders)

    @property
    def findings(self) -> Findings:
        """As of now; what is still missing counts as lost."""
        found = Findings()
        found.add(self.found)
        found.packets, found.streams = self.packets, int(self.packets > 0)
        found.lost += len(self._missing)
        self.checks.finish(found)
        return found

    @property
    def troubled(self) -> bool:
        """Whether `tick` has something to do."""
        return self._video and (bool(self._missing) or self.checks.wants_key_frame)

    def take(self, sequence: int, timestamp: int, flags: int, index: int, read: Read, now: float) -> None:
        """One packet of the batch at hand, at `now` in seconds of the monotonic clock."""
        self.packets += 1
        following = self._next
        if following is not None and not self._missing and following & 0xFFFF == sequence:
            self._next = following + 1
            self.checks.take(flags, timestamp, index, read, now)
            return
        self._irregular(sequence, timestamp, flags, index, read, now)

    def tick(self, now: float) -> tuple[list[int], bool]:
        """Numbers to ask for again, and whether to ask for a key frame."""
        if not self._video:
            return [], False
        wanted: list[int] = []
        if self._missing:
            oldest = next(iter(self._missing.values()))[0]
            behind = next((n for n, held in self._held.items() if held[0] & _KEY_START), None)
            if now - oldest > (_GIVE_UP if behind is None else _GIVE_UP_AT_KEY):
                self._give_up(behind, now)
            for number, times in self._missing.items():
                if now - times[0] >= _GRACE and now - times[1] >= _RETRY:
                    times[1] = now
                    wanted.append(number & 0xFFFF)
        ask = self.checks.wants_key_frame and now - self._asked_key >= _ASK_AGAIN
        if ask:
            self._asked_key = now
        return wanted, ask

    def _irregular(
        self, sequence: int, timestamp: int, flags: int, index: int, read: Read, now: float
    ) -> None:
        """The first packet, one after or in a gap, or a repeat."""
        if self._next is None:
            self._next = (0x10000 | sequence) + 1
            self.checks.take(flags, timestamp, index, read, now)
            return
        ahead = (sequence - self._next) & 0xFFFF
        number = self._next + (ahead if ahead < 0x8000 else ahead - 0x10000)
        if not self._video:
            self._sound(number, timestamp, flags, index, read, now)
            return
        if number in self._given_up:  # it comes after all
            self._given_up.remove(number)
            self.found.lost -= 1
            self.found.repaired += bool(flags & _REPAIRED)
            self.found.reordered += not flags & _REPAIRED
            return
        if number < self._next or number in self._held:
            if flags & _REPAIRED:
                self.found.probes += 1
            else:
                self.found.duplicates += 1
            return
        if self._missing.pop(number, None) is not None:
            if flags & _REPAIRED:
                self.found.repaired += 1
            else:
                self.found.reordered += 1
        else:
            self._gap(number, now)
        self._held[number] = (flags, timestamp, read(index) if flags & _NEEDED else b"")
        self._release(now)

    def _gap(self, number: int, now: float) -> None:
        newest = max(self._held, default=(self._next or 0) - 1)
        if number - newest > _REMEMBERED or len(self._held) > _REMEMBERED:
            self.found.lost += len(self._missing) + number - newest - 1
            self._missing.clear()
            self._jump(number, now)
            return
        for absent in range(newest + 1, number):
            self._missing[absent] = [now, -1e9]

    def _release(self, now: float) -> None:
        """Checks what is in order now."""
        following = self._next or 0
        while (held := self._held.pop(following, None)) is not None:
            flags, timestamp, data = held
            self._next = following = following + 1
            self.checks.take(flags, timestamp, 0, partial(_given, data), now)

    def _give_up(self, key: int | None, now: float) -> None:
        """What is missing before a key frame, or else before the next packet there is, will not come."""
        target = key if key is not None else min(self._held, default=max(self._missing) + 1)
        for number in [n for n in self._missing if n < target]:
            del self._missing[number]
            self.found.lost += 1
            if len(self._given_up) < _REMEMBERED:
                self._given_up.add(number)
        if key is not None:  # as decoders do: what lies before is not shown any more
            self._held = {n: held for n, held in self._held.items() if n >= target}
        self._jump(target, now)
        self._release(now)

    def _jump(self, number: int, now: float) -> None:
        self._next = number
        self.checks.broke()

    def _sound(self, number: int, timestamp: int, flags: int, index: int, read: Read, now: float) -> None:
        """Sound is played as it comes; what is late is only counted."""
        following = self._next or 0
        if number >= following:
            if number - following <= _REMEMBERED:
                for absent in range(following, number):
                    self._missing[absent] = [now, 0.0]
            else:
                self.found.lost += number - following
            if number > following:
                self.checks.broke()
            self._next = number + 1
            self.checks.take(flags, timestamp, index, read, now)
        elif self._missing.pop(number, None) is not None:
            self.found.reordered += 1
        else:
            self.found.duplicates += 1
        for old in [n for n in self._missing if n < number - _LATE]:
            del self._missing[old]
            self.found.lost += 1


def _given(data: bytes, index: int) -> bytes:
    """A packet that was kept, whatever the batch at hand is."""
    return data
