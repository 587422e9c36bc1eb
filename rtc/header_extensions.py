"""The header extensions that are negotiated, and the values they carry."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from rtc.errors import PacketError

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 9143
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
#: Which encoding of a source a packet is of, or repairs (RFC 8852).
RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
#: Numbers all packets of a path (draft-holmer-rmcat-transport-wide-cc-extensions-01).
TRANSPORT_WIDE: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
#: Which layers a frame is of and needs (AV1 RTP specification, appendix A).
DEPENDENCY: Final = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

#: The wire value of digital silence.
SILENCE: Final = 127


class AudioLevel(NamedTuple):
    """How loud a packet of sound is: `level` in -dBov, 0 (loudest) .. 127 (silence)."""

    voice: bool
    level: int


def encode_audio_level(voice: bool, level: float) -> bytes:
    """One byte (RFC 6464 section 3). `level` is in dBov; its sign may be left off, as on the wire.

    Anything beyond 127 dB down, infinity and NaN count as silence.
    """
    size = abs(level)
    wire = SILENCE if math.isnan(size) or size > SILENCE else round(size)
    return bytes((wire | 0x80 if voice else wire,))


def decode_audio_level(value: bytes) -> AudioLevel:
    """Reads the extension (a two-byte form carries one byte of padding). Raises PacketError when empty."""
    if not value:
        raise PacketError("audio level extension is empty")
    return AudioLevel(value[0] > 0x7F, value[0] & 0x7F)


def encode_abs_send_time(seconds: float) -> bytes:
    """24 bits, 6.18 fixed point seconds, wrapping every 64 s."""
    return (int(seconds * 262144) & 0xFFFFFF).to_bytes(3, "big")


def decode_abs_send_time(value: bytes) -> float:
    """Seconds, 0 <= t < 64. Raises PacketError unless the value has three bytes."""
    if len(value) != 3:
        raise PacketError("abs-send-time extension is not three bytes")
    return int.from_bytes(value, "big") / 262144


def encode_transport_wide(number: int) -> bytes:
    """The transport-wide sequence number, 16 bits; one counter for all streams of a path."""
    return (number & 0xFFFF).to_bytes(2, "big")


def decode_transport_wide(value: bytes) -> int:
    """The number, 0..65535. A second version of the extension adds two bytes, which are passed over.

    Raises PacketError unless the value has two or four bytes.
    """
    if len(value) not in (2, 4):
        raise PacketError("transport-wide sequence number is not two bytes")
    return value[0] << 8 | value[1]


def encode_mid(mid: str) -> bytes:
    """The media section's identification tag as it goes on the wire (UTF-8, at most 255 bytes)."""
    value = mid.encode()
    if not 1 <= len(value) <= 255:
        raise PacketError("mid must have 1 to 255 bytes")
    return value


def decode_mid(value: bytes) -> str:
    """The media section's identification tag. Raises PacketError when it is empty or not UTF-8."""
    try:
        mid = value.decode()
    except UnicodeDecodeError as error:
        raise PacketError("mid extension is not UTF-8") from error
    if not mid:
        raise PacketError("mid extension is empty")
    return mid
