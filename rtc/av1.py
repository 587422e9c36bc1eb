"""AV1 in RTP (AV1 RTP specification 1.0.0, section 4.4): the aggregation header."""

from __future__ import annotations


def starts_sequence(payload: bytes) -> bool:
    """True when the payload is the first of a coded video sequence (N), which begins with a key frame."""
    return bool(payload) and payload[0] & 0x08 != 0
