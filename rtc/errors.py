"""What a parser raises when bytes from the network are not what they claim to be."""

from __future__ import annotations


class PacketError(ValueError):
    """A packet that cannot be read. The one exception a parser in this package raises: count it, drop it."""
