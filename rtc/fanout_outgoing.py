"""A packet of the Python twin that is to leave, before its transport-wide number and time are known."""

from __future__ import annotations

from typing import NamedTuple

from rtc.fanout_extensions import ExtensionWriter
from rtc.rtp import HEADER, HEADER_SIZE


class Outgoing(NamedTuple):
    """`extensions` are those of the time when it was put together; level -1 for none."""

    first: int  # byte of the header, without the bit for extensions
    second: int
    sequence: int
    timestamp: int
    ssrc: int
    extensions: ExtensionWriter
    level: int
    descriptor: bytes
    payload: bytes
    cluster: int = 0  # of a probe

    def size(self, now: int) -> int:
        """Bytes of the whole packet in the clear."""
        return (
            HEADER_SIZE + len(self.extensions.block(self.level, 0, now, self.descriptor)) + len(self.payload)
        )

    def plain(self, number: int, now: int) -> bytes:
        """The whole packet in the clear, as it leaves at `now` under that transport-wide number."""
        block = self.extensions.block(self.level, number, now, self.descriptor)
        first = self.first | 0x10 if block else self.first
        head = HEADER.pack(first, self.second, self.sequence, self.timestamp, self.ssrc)
        return head + block + self.payload
