from __future__ import annotations

import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from hypothesis import given
from hypothesis import strategies as st

from rtc import h264
from rtc.errors import PacketError
from rtc.h264 import START_CODE, depacketize, packetize, split_nal_units
from tests.rtc.strategies import mutated


def nal_units() -> st.SearchStrategy[bytes]:
    """NAL units as an encoder makes them: no start code inside, no zero at the end."""

    def build(kind: int, importance: int, body: bytes) -> bytes:
        return bytes((importance << 5 | kind,)) + body.replace(b"\x00", b"\x01") + b"\x80"

    return st.builds(build, st.integers(1, 23), st.integers(0, 3), st.binary(max_size=300))


frames = st.lists(nal_units(), min_size=1, max_size=6)


@given(frames, st.integers(16, 400))
def test_a_frame_survives_packets(units: list[bytes], max_payload: int) -> None:
    frame = b"".join(START_CODE + unit for unit in units)
    payloads = packetize(frame, max_payload)
    assert b"".join(depacketize(payload)[1] for payload in payloads) == frame
    assert max(map(len, payloads)) <= max_payload


@given(frames)
def test_aiortc_reads_the_same(units: list[bytes]) -> None:
    payloads = packetize(b"".join(START_CODE + unit for unit in units), 100)
    for payload in payloads:
        assert h264_depayload(payload) == depacketize(payload)[1]


@given(frames)
def test_we_read_what_aiortc_writes(units: list[bytes]) -> None:
    payloads = H264Encoder._packetize(iter(units))
    joined = b"".join(depacketize(payload)[1] for payload in payloads)
    assert split_nal_units(joined) == units


@given(
    st.binary(max_size=60) | mutated(frames.map(lambda units: packetize(START_CODE.join([b"", *units]))[0]))
)
def test_any_bytes_are_a_payload_or_an_error(payload: bytes) -> None:
    h264.starts_key_frame(payload)
    try:
        units, data = depacketize(payload)
    except PacketError:
        return
    assert units.types
    assert len(data) <= 3 * len(payload) + 4


@given(st.binary(max_size=300))
def test_any_bytes_can_be_split(frame: bytes) -> None:
    assert all(b"\x00\x00\x01" not in unit and unit for unit in split_nal_units(frame))


def test_short_and_long_start_codes_split() -> None:
    assert split_nal_units(b"\x00\x00\x01\x67\x01\x00\x00\x00\x01\x65\x02") == [b"\x67\x01", b"\x65\x02"]


def test_parameter_sets_share_a_packet_and_open_a_key_frame() -> None:
    frame = START_CODE + b"\x67abc" + START_CODE + b"\x68de" + START_CODE + b"\x65" + b"i" * 300
    payloads = packetize(frame, 100)
    units, _ = depacketize(payloads[0])
    assert payloads[0][0] & 0x1F == h264.STAP_A
    assert units.types == (7, 8)
    assert h264.starts_key_frame(payloads[0])
    assert not any(h264.starts_key_frame(payload) for payload in payloads[1:])
    assert all(depacketize(payload)[0].idr for payload in payloads[1:])
    assert h264.is_key_frame(frame)
    assert not h264.is_key_frame(START_CODE + b"\x41abc")


def test_nothing_to_send_gives_no_packets() -> None:
    assert packetize(b"") == []
    with pytest.raises(ValueError, match="no room"):
        packetize(b"", 15)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00a",
        b"\x19a",
        b"\x1da",
        b"\x1c\x85",
        b"\x18",
        b"\x18\x00",
        b"\x18\x00\x00a",
        b"\x18\x00\x09ab",
    ],
)
def test_payloads_that_lie_are_refused(payload: bytes) -> None:
    with pytest.raises(PacketError):
        depacketize(payload)
