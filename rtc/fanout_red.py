"""Sound with redundancy (RED, RFC 2198) for a receiver that knows the sound alone. Pure."""

from __future__ import annotations


def primary(payload: bytes) -> tuple[int, bytes] | None:
    """Payload type and bytes of the primary block, which is the last one; what is repeated before it is
    skipped. None where the lengths lie or nothing is in it."""
    at = repeated = 0
    size = len(payload)
    while at < size and payload[at] & 0x80:
        if size - at < 4:
            return None
        repeated += (payload[at + 2] & 3) << 8 | payload[at + 3]
        at += 4
    if at + 1 + repeated >= size:
        return None
    return payload[at], payload[at + 1 + repeated :]
