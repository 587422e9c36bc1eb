"""Whose sound is forwarded in a large room: the loudest three. Pure; time in seconds.

Everybody's sound to everybody grows with the square of the room, and nobody follows more than three voices.
docs/active-speaker.md tells how one is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Voices that are forwarded. Fewer cuts off who interrupts; more costs each receiver a decoder.
VOICES = 3
#: Rooms with more voices than this are thinned out. In smaller ones everybody hears everybody.
LARGE_ROOM = 10
#: Below this loudness, in dBov, a packet is background, and not worth a place.
_FLOOR_DBOV = -55.0
#: How fast a voice's loudness falls after a loud packet, in dB per second; it rises at once. Slower keeps a
#: place through pauses between words, faster gives it away sooner.
_RELEASE_DB_PER_S = 20.0
#: Another must be louder than the quietest by this much, in dB, to take its place, and the quietest must have
#: had it for this long, in seconds. Larger means fewer changes in the middle of words.
_LOUDER_DB = 6.0
_TURN_S = 0.5


@dataclass(slots=True)
class _Voice:
    loudness: float  # dBov: up at once, down slowly
    at: float
    since: float | None = None  # when it got its place; None while it has none


class LoudestVoices:
    """Decides packet by packet; `passes` is asked for every packet of sound of a room."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._chosen: set[str] = set()
        #: Grows whenever the choice changes.
        self.version = 0

    @property
    def chosen(self) -> frozenset[str]:
        """Members who have a place, whether they speak just now or not."""
        return frozenset(self._chosen)

    def passes(self, member: str, level: int, voices_in_room: int, now: float) -> bool:
        """Whether a packet with `level` in -dBov (127 is silence) is forwarded."""
        voice = self._heard(member, -float(level), now)
        if voices_in_room <= LARGE_ROOM:
            return True
        if member in self._chosen:
            return True
        if voice.loudness < _FLOOR_DBOV:
            return False
        if len(self._chosen) >= VOICES and not self._make_room(voice, now):
            return False
        voice.since = now
        self._chosen.add(member)
        self.version += 1
        return True

    def forget(self, member: str) -> None:
        self._voices.pop(member, None)
        if member in self._chosen:
            self._chosen.discard(member)
            self.version += 1

    def _heard(self, member: str, loudness: float, now: float) -> _Voice:
        voice = self._voices.get(member)
        if voice is None:
            voice = self._voices[member] = _Voice(loudness, now)
        else:
            voice.loudness = max(loudness, self._faded(voice, now))
            voice.at = now
        return voice

    def _make_room(self, voice: _Voice, now: float) -> bool:
        """Takes the place of the quietest, if it may be taken by `voice`."""
        quietest = min(self._chosen, key=lambda m: self._faded(self._voices[m], now))
        holder = self._voices[quietest]
        faded = self._faded(holder, now)
        had_its_turn = now - (holder.since or 0.0) >= _TURN_S
        if faded >= _FLOOR_DBOV and not (had_its_turn and voice.loudness >= faded + _LOUDER_DB):
            return False
        holder.since = None
        self._chosen.discard(quietest)
        return True

    @staticmethod
    def _faded(voice: _Voice, now: float) -> float:
        return voice.loudness - _RELEASE_DB_PER_S * max(0.0, now - voice.at)
