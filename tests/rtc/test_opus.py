from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import opus
from rtc.errors import PacketError


@pytest.mark.parametrize(
    ("payload", "milliseconds"),
    [
        (b"\x78abc", 20),  # configuration 15: hybrid, fullband, 20 ms
        (b"\x08abc", 20),
        (b"\x00abc", 10),
        (b"\x18abc", 60),
        (b"\xe0abc", 2.5),
        (b"\xf8abc", 20),
        (b"\xf9abc", 40),
        (b"\xfb\x03abc", 60),
        (b"\xfb\x06abc", 120),
    ],
)
def test_duration(payload: bytes, milliseconds: float) -> None:
    assert opus.duration(payload) == milliseconds * 48


@pytest.mark.parametrize("payload", [b"", b"\xfb", b"\xfb\x00", b"\xfb\x07", b"\x1b\x03"])
def test_nonsense_is_refused(payload: bytes) -> None:
    with pytest.raises(PacketError):
        opus.duration(payload)


@given(st.binary(max_size=4))
def test_any_bytes_have_a_duration_or_an_error(payload: bytes) -> None:
    opus.is_stereo(payload)
    try:
        assert 120 <= opus.duration(payload) <= opus.MAX_DURATION
    except PacketError:
        pass


def test_silence_and_channels() -> None:
    assert opus.is_dtx(b"\xf8")
    assert opus.is_dtx(b"\xf8\xff")
    assert not opus.is_dtx(b"\xf8\xff\xfe")
    assert opus.is_stereo(b"\xfc")
    assert not opus.is_stereo(b"\xf8")
    assert not opus.is_stereo(b"")
