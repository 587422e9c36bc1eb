from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.rtp import RtpPacket
from rtc.rtx import decapsulate, encapsulate
from tests.rtc.strategies import rtp_packets, u16, u32


@given(rtp_packets(), u32, u16)
def test_the_original_comes_back(original: RtpPacket, ssrc: int, number: int) -> None:
    repeat = RtpPacket.parse(encapsulate(original, 97, ssrc, number).serialize())
    assert (repeat.payload_type, repeat.ssrc, repeat.sequence_number) == (97, ssrc, number)
    assert decapsulate(repeat, original.payload_type, original.ssrc) == original


@given(st.binary(max_size=1))
def test_a_payload_without_a_number_is_refused(payload: bytes) -> None:
    with pytest.raises(PacketError):
        decapsulate(RtpPacket(97, 1, 2, 3, False, payload), 96, 4)
