from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.fanout import ExtensionIds
from rtc.fanout_extensions import ExtensionWriter
from rtc.rtp import RtpPacket, serialize_extensions

identities = st.lists(st.integers(1, 17) | st.integers(1, 255), min_size=5, max_size=5, unique=True)


@given(
    identities,
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.binary(max_size=20),
    st.none() | st.integers(0, 255),
    st.integers(0, 65535),
    st.integers(0, 1 << 50),
    st.binary(max_size=20) | st.binary(min_size=17, max_size=200),
)
def test_blocks_are_those_of_the_packet_library(
    numbers: list[int],
    agreed: list[bool],
    mid: bytes,
    level: int | None,
    number: int,
    now: int,
    descriptor: bytes,
) -> None:
    used = [identity if one else 0 for identity, one in zip(numbers, agreed, strict=True)]
    ids = ExtensionIds(
        mid=used[0], level=used[1], send_time=used[2], transport_wide=used[3], dependency=used[4]
    )
    expected: dict[int, bytes] = {}
    if ids.mid and mid:
        expected[ids.mid] = mid
    if ids.level and level is not None:
        expected[ids.level] = bytes((level,))
    if ids.send_time:
        expected[ids.send_time] = (now * 262144 // 1_000_000 & 0xFFFFFF).to_bytes(3, "big")
    if ids.transport_wide:
        expected[ids.transport_wide] = number.to_bytes(2, "big")
    if ids.dependency and descriptor:
        expected[ids.dependency] = descriptor
    writer = ExtensionWriter(ids, mid)
    block = writer.block(-1 if level is None else level, number, now, descriptor)
    assert block == (serialize_extensions(expected) if expected else b"")
    if block:
        read = RtpPacket.parse(b"\x90\x60" + bytes(10) + block)
        assert read.extensions == expected
