"""The voice of one member: packets out of the jitter buffer, decoded just when the mixer asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from client.media.codec.errors import CodecError
from client.media.codec.opus import OpusDecoder
from client.media.sound import PACKET_SAMPLES, Samples
from rtc.audio_jitter_buffer import AudioJitterBuffer, Lost

#: Gives the payload that is due, LOST for 20 ms to conceal, None for 20 ms of silence.
NextPacket = Callable[[], "bytes | Literal[Lost.LOST] | None"]


class SoundStream:
    """Makes a `pull` for the mixer out of a source of packets. All calls from the mixer's thread.

    `packets` were decoded, `concealed` guessed, `errors` (also concealed) broken.
    """

    def __init__(self, next_packet: NextPacket) -> None:
        self.packets = 0
        self.concealed = 0
        self.errors = 0
        self._next_packet = next_packet
        self._decoder = OpusDecoder()
        self._rest: Samples = np.zeros(0, np.int16)
        self._quiet = 0  # samples at the end of the rest that stand for nothing at all

    @classmethod
    def of(cls, buffer: AudioJitterBuffer, clock: Callable[[], float] = time.monotonic) -> SoundStream:
        """The voice that comes out of a jitter buffer."""

        def next_packet() -> bytes | Literal[Lost.LOST] | None:
            packet = buffer.pop(clock())
            return packet if packet is None or isinstance(packet, Lost) else packet.payload

        return cls(next_packet)

    def pull(self, count: int) -> Samples | None:
        """`count` samples, or None while there is nothing to hear."""
        while self._rest.size < count:
            packet = self._next_packet()
            if packet is None:
                self._quiet += PACKET_SAMPLES
                piece: Samples = np.zeros(PACKET_SAMPLES, np.int16)
            else:
                self._quiet = 0
                piece = self._decoded(packet)
            self._rest = np.concatenate((self._rest, piece))
        nothing = self._quiet >= self._rest.size
        samples, self._rest = self._rest[:count], self._rest[count:]
        self._quiet = min(self._quiet, self._rest.size)
        return None if nothing else samples

    def _decoded(self, packet: bytes | Literal[Lost.LOST]) -> Samples:
        if isinstance(packet, Lost):
            self.concealed += 1
            return self._decoder.conceal()
        try:
            samples = self._decoder.decode(packet)
        except CodecError:
            self.errors += 1
            return self._decoder.conceal()
        self.packets += 1
        return samples
