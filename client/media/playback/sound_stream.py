"""The voice of one member: packets out of the jitter buffer, decoded just when the mixer asks."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

import numpy as np

from client.media.codec.errors import CodecError
from client.media.codec.opus import OpusDecoder
from client.media.sound import Samples


class Gap(Enum):
    """What the jitter buffer says instead of a packet."""

    LOST = "lost"


LOST: Final = Gap.LOST
#: Gives the payload that is due (asked once per 20 ms), LOST if it never came, None if there is nothing.
NextPacket = Callable[[], "bytes | Gap | None"]


class SoundStream:
    """Makes a `pull` for the mixer out of a source of packets. All calls from the mixer's thread."""

    def __init__(self, next_packet: NextPacket) -> None:
        self.packets = 0
        self.concealed = 0
        self.errors = 0
        self._next_packet = next_packet
        self._decoder = OpusDecoder()
        self._rest: Samples = np.zeros(0, np.int16)

    def pull(self, count: int) -> Samples | None:
        """`count` samples, or None while nothing is there."""
        while self._rest.size < count:
            packet = self._next_packet()
            if packet is None:
                return self._remainder(count)
            self._rest = np.concatenate((self._rest, self._decoded(packet)))
        samples, self._rest = self._rest[:count], self._rest[count:]
        return samples

    def _decoded(self, packet: bytes | Gap) -> Samples:
        if isinstance(packet, Gap):
            self.concealed += 1
            return self._decoder.conceal()
        try:
            samples = self._decoder.decode(packet)
        except CodecError:
            self.errors += 1
            return self._decoder.conceal()
        self.packets += 1
        return samples

    def _remainder(self, count: int) -> Samples | None:
        """Nothing more came: what is left is played out, then there is nothing."""
        if self._rest.size == 0:
            return None
        samples = np.zeros(count, np.int16)
        samples[: self._rest.size] = self._rest
        self._rest = self._rest[:0]
        return samples
