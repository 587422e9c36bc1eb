"""What an Opus packet says of itself in its first bytes (RFC 6716 section 3)."""

from __future__ import annotations

from typing import Final

from rtc.errors import PacketError

#: RTP clock of Opus in Hz, whatever the sound was sampled with (RFC 7587 section 4.1).
CLOCK_RATE: Final = 48000

#: Samples at 48 kHz in 120 ms, the longest packet.
MAX_DURATION: Final = 5760

# Samples at 48 kHz of one frame, by configuration number 0..31 (RFC 6716 table 2).
_FRAME: Final = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


def duration(payload: bytes) -> int:
    """Samples at 48 kHz in a packet, 120..5760. Raises PacketError when it is empty or says nonsense."""
    if not payload:
        raise PacketError("Opus packet is empty")
    code = payload[0] & 3
    if code == 3:
        if len(payload) < 2:
            raise PacketError("Opus packet ends before its frame count")
        frames = payload[1] & 0x3F
    else:
        frames = 1 if code == 0 else 2
    samples = frames * _FRAME[payload[0] >> 3]
    if not 0 < samples <= MAX_DURATION:
        raise PacketError("Opus packet claims an impossible duration")
    return samples


def is_dtx(payload: bytes) -> bool:
    """True for a packet that carries no sound: at most two bytes (discontinuous transmission)."""
    return len(payload) <= 2


def is_stereo(payload: bytes) -> bool:
    """True when the packet carries two channels; False for an empty one."""
    return bool(payload) and payload[0] & 4 != 0
