from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import PacketError
from rtc.header_extensions import (
    AudioLevel,
    decode_abs_send_time,
    decode_audio_level,
    decode_mid,
    decode_transport_wide,
    encode_abs_send_time,
    encode_audio_level,
    encode_mid,
    encode_transport_wide,
)


@given(st.booleans(), st.integers(0, 127))
def test_audio_level_round_trip(voice: bool, level: int) -> None:
    assert decode_audio_level(encode_audio_level(voice, -level)) == AudioLevel(voice, level)
    assert encode_audio_level(voice, level) == encode_audio_level(voice, -level)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_level_has_a_place(level: float) -> None:
    wire = decode_audio_level(encode_audio_level(False, level)).level
    assert wire == (127 if math.isnan(level) else min(127, round(min(abs(level), 1000.0))))


@given(st.floats(0, 1e6))
def test_abs_send_time_keeps_the_fraction(seconds: float) -> None:
    off = (decode_abs_send_time(encode_abs_send_time(seconds)) - seconds) % 64
    assert min(off, 64 - off) <= 1 / 262144 + 1e-9


@given(st.text(min_size=1, max_size=60))
def test_mid_round_trip(mid: str) -> None:
    assert decode_mid(encode_mid(mid)) == mid


@given(st.integers(0, 2**20))
def test_transport_wide_numbers_wrap(number: int) -> None:
    wire = encode_transport_wide(number)
    assert len(wire) == 2
    assert decode_transport_wide(wire) == decode_transport_wide(wire + b"\x80\x01") == number & 0xFFFF
    for wrong in (b"", wire[:1], wire + b"\0"):
        with pytest.raises(PacketError):
            decode_transport_wide(wrong)


@given(st.binary(max_size=5))
def test_any_bytes_are_a_value_or_an_error(value: bytes) -> None:
    for decode in (decode_audio_level, decode_abs_send_time, decode_mid, decode_transport_wide):
        try:
            decode(value)
        except PacketError:
            pass


@pytest.mark.parametrize("mid", ["", "a" * 256])
def test_mid_that_does_not_fit_is_refused(mid: str) -> None:
    with pytest.raises(PacketError):
        encode_mid(mid)
