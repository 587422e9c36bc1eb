"""VP9 in RTP (RFC 9628): as much of the payload descriptor as a forwarder needs."""

from __future__ import annotations

from dataclasses import dataclass

from rtc.errors import PacketError


@dataclass(slots=True)
class Vp9Descriptor:
    """The fields up to TL0PICIDX (RFC 9628 section 4.2); reference indices and the scalability structure
    behind them are not read.

    picture_id 0..127 with picture_bits 7, 0..32767 with 15, None with 0; temporal and spatial 0..7, 0 where
    the packet has no layer indices; tl0picidx 0..255, in non-flexible mode only, at byte tl0_at.
    """

    start: bool
    end: bool
    predicted: bool
    picture_id: int | None = None
    picture_bits: int = 0
    temporal: int = 0
    spatial: int = 0
    switch_up: bool = False
    tl0picidx: int | None = None
    tl0_at: int = 0

    @property
    def starts_key_frame(self) -> bool:
        """True for the first packet of a picture that needs no other: a receiver can begin here."""
        return self.start and not self.predicted and self.spatial == 0

    @classmethod
    def parse(cls, payload: bytes) -> Vp9Descriptor:
        """Reads a payload. Raises PacketError when it ends inside these fields."""
        try:
            first = payload[0]
            found = cls(first & 0x08 != 0, first & 0x04 != 0, first & 0x40 != 0)
            position = 1
            if first & 0x80:
                found.picture_id, found.picture_bits = payload[1], 7
                position = 2
                if payload[1] & 0x80:
                    found.picture_id = (payload[1] & 0x7F) << 8 | payload[2]
                    found.picture_bits = 15
                    position = 3
            if first & 0x20:
                layers = payload[position]
                found.temporal, found.spatial = layers >> 5, layers >> 1 & 7
                found.switch_up = layers & 0x10 != 0
                if not first & 0x10:
                    found.tl0_at = position + 1
                    found.tl0picidx = payload[found.tl0_at]
        except IndexError as error:
            raise PacketError("VP9 payload ends inside its descriptor") from error
        return found
