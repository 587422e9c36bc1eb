"""Hypothesis strategies and small makers that several tests of the packet layer share."""

from __future__ import annotations

from hypothesis import strategies as st

from rtc import vp8
from rtc.rtp import RtpPacket

KEY_HEAD = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00"  # a VP8 key frame's first ten bytes, 320x180
DELTA_HEAD = b"\x11\x02\x00"

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)


def rtp_packets() -> st.SearchStrategy[RtpPacket]:
    one_byte = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=5)
    two_byte = st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=5)
    return st.builds(
        RtpPacket,
        payload_type=st.integers(0, 127),
        sequence_number=u16,
        timestamp=u32,
        ssrc=u32,
        marker=st.booleans(),
        payload=st.binary(max_size=60),
        csrc=st.lists(u32, max_size=15).map(tuple),
        extensions=one_byte | two_byte,
    )


@st.composite
def mutated(draw: st.DrawFn, valid: st.SearchStrategy[bytes]) -> bytes:
    """A valid packet with a few bytes changed, cut out or put in."""
    data = bytearray(draw(valid))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0 if place < len(data):
                data[place] = draw(u8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = draw(st.binary(max_size=8))
            case _:
                del data[place : place + 1]
    return bytes(data)


def vp8_frame(key: bool, size: int, fill: int = 0) -> bytes:
    """A frame that looks like VP8 to the packet layer; `size` bytes behind its head, told apart by `fill`."""
    return (KEY_HEAD if key else DELTA_HEAD) + bytes((fill & 0xFF,)) * size


def vp8_packets(
    frame: bytes,
    sequence: int,
    timestamp: int,
    *,
    picture_id: int = 0,
    max_payload: int = 100,
    ssrc: int = 1,
) -> list[RtpPacket]:
    """The packets of one frame, the last with the marker; sequence numbers wrap."""
    payloads = vp8.packetize(frame, picture_id & 0x7FFF, max_payload)
    return [
        RtpPacket(
            96,
            (sequence + index) & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
            index == len(payloads) - 1,
            payload,
        )
        for index, payload in enumerate(payloads)
    ]
