"""Observers learn from the router without disturbing it. Pure; time in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rtc.fanout import Record
    from server_lite.layer import Layer

#: Seconds over which loudness is averaged. Longer ignores coughs; shorter follows quick exchanges.
_SMOOTHING_S = 0.4
#: A speaker loses the floor after this much silence, in seconds.
_SILENCE_S = 2.0
#: Another must be louder by this much, in dB, and for this long, in seconds. Larger holds the floor longer.
_LOUDER_DB = 3.0
_TAKE_OVER_S = 0.6
#: Below this loudness, in dBov, nobody speaks.
_VOICE_FLOOR_DBOV = -50.0
_SILENT_DBOV = -127.0


class Tap(Protocol):
    """Somebody who gets a source's packets as they came (recorder, captions), whatever receivers get."""

    def packet(self, data: bytes, record: Record, layer: Layer, now: int) -> None:
        """A decrypted RTP packet of one of its layers; a retransmission as the original."""

    def wants_key_frame_of(self, layer: Layer, now: int) -> bool:
        """Whether it cannot go on without a key frame of this layer."""


@dataclass(slots=True)
class _Voice:
    loudness: float = _SILENT_DBOV  # dBov, smoothed
    heard_at: float = 0.0
    louder_since: float | None = None


class ActiveSpeaker:
    """Who has the floor, from the audio levels that senders write into their packets (RFC 6464)."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._last_voice = 0.0
        self.current: str | None = None

    def heard(self, member: str, level: int, now: float) -> None:
        """A packet of `member` with `level` in -dBov, 0 (loudest) to 127 (silence)."""
        voice = self._voices.setdefault(member, _Voice())
        elapsed = min(max(now - voice.heard_at, 0.0), _SMOOTHING_S)
        weight = elapsed / _SMOOTHING_S if voice.heard_at else 1.0
        voice.loudness += (-level - voice.loudness) * weight
        voice.heard_at = now
        if member == self.current and voice.loudness > _VOICE_FLOOR_DBOV:
            self._last_voice = now

    def forget(self, member: str) -> None:
        self._voices.pop(member, None)
        if self.current == member:
            self.current = None

    def tick(self, now: float) -> bool:
        """Decides; True if `current` changed."""
        before = self.current
        if self.current is not None and now - self._last_voice > _SILENCE_S:
            self.current = None
        loudest = max(
            (m for m in self._voices if self._loudness(m, now) > _VOICE_FLOOR_DBOV),
            key=lambda m: self._loudness(m, now),
            default=None,
        )
        for member, voice in self._voices.items():
            if member != loudest:  # loud without a break, or it counts anew
                voice.louder_since = None
        if loudest is not None and loudest != self.current and self._may_take_over(loudest, now):
            self.current, self._last_voice = loudest, now
            self._voices[loudest].louder_since = None
        return self.current != before

    def _may_take_over(self, member: str, now: float) -> bool:
        if self.current is None:
            return True
        voice = self._voices[member]
        if self._loudness(member, now) < self._loudness(self.current, now) + _LOUDER_DB:
            voice.louder_since = None
            return False
        if voice.louder_since is None:
            voice.louder_since = now
        return now - voice.louder_since >= _TAKE_OVER_S

    def _loudness(self, member: str, now: float) -> float:
        voice = self._voices.get(member)
        # Senders stop sending in silence, so nothing heard for a while is silence.
        return _SILENT_DBOV if voice is None or now - voice.heard_at > 0.5 else voice.loudness


@dataclass(slots=True)
class Counters:
    """What went through a router."""

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    malformed: int = 0
    rtcp_over_limit: int = 0
    unknown_stream: int = 0
    muted: int = 0
    not_loudest: int = 0
    over_cap: int = 0
    member_pauses: int = 0
    room_pauses: int = 0
    nacks_sent: int = 0
    nacks_answered: int = 0
    key_frames_asked: int = 0

    def add(self, other: Counters) -> None:
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))
