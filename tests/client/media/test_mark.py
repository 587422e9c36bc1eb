"""The mark is read back after the real codec, and never wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.media import mark
from client.media.codec import VideoDecoder, VideoEncoder
from client.media.fit import fill_picture
from client.media.mark import Mark
from client.media.picture import Picture
from tests.client.media.material import busy_picture

FRAMES = 120


@given(st.integers(0, 65535), st.floats(0.0, 1e8))
def test_reads_what_was_painted(identity: int, now: float) -> None:
    picture = Picture.blank(320, 180, 0.0)
    assert mark.paint(picture.planes, identity, now)
    read = mark.read(picture)
    assert read is not None
    assert read.identity == identity
    assert abs(read.time - now) <= 1.0 / mark.TICKS_PER_SECOND


@pytest.mark.parametrize(
    ("width", "height", "bitrate"),
    [
        (320, 180, 150_000),
        (320, 180, 400_000),
        (426, 240, 300_000),
        (640, 360, 400_000),
        (640, 360, 700_000),
        (1280, 720, 1_200_000),
    ],
)
def test_survives_vp8(width: int, height: int, bitrate: int) -> None:
    encoder = VideoEncoder(width, height, 30.0, bitrate)
    decoder = VideoDecoder("VP8")
    right = wrong = 0
    frames = FRAMES if width < 1280 else FRAMES // 3
    for number in range(frames):
        at = 5000.0 + number / 30.0 + 0.00137 * (number % 7)
        picture = busy_picture(width, height, at)
        identity = (number // 10 * 4099 + 77) & 0xFFFF
        mark.paint(picture.planes, identity, at)
        shown = decoder.decode(encoder.encode(picture).data, at)
        assert shown is not None
        read = mark.read(shown)
        if read is not None and read.identity == identity and abs(read.time - at) < 0.00011:
            right += 1
        elif read is not None:
            wrong += 1
    assert wrong == 0
    assert right > 0.99 * frames


@pytest.mark.parametrize("size", [(640, 360), (960, 540), (480, 270), (320, 180)])
def test_survives_scaling(size: tuple[int, int]) -> None:
    picture = busy_picture(1280, 720, 1.0)
    mark.paint(picture.planes, 4242, 99.5)
    assert mark.read(fill_picture(picture, *size)) == Mark(4242, 99.5)


@given(st.integers(0, 2**32 - 1))
def test_what_is_no_mark_is_not_read(seed: int) -> None:
    picture = Picture.blank(320, 180, 0.0)
    picture.planes[0][:] = np.random.default_rng(seed).integers(0, 256, (180, 320), dtype=np.uint8)
    assert mark.read(picture) is None


@pytest.mark.parametrize("luma", [0, 16, 127, 235, 255])
def test_a_plain_picture_is_no_mark(luma: int) -> None:
    picture = Picture.blank(640, 360, 0.0)
    picture.planes[0][:] = luma
    assert mark.read(picture) is None


@given(st.integers(0, 79), st.integers(0, 79))
def test_a_damaged_cell_gives_nothing(one: int, other: int) -> None:
    picture = Picture.blank(320, 180, 0.0)
    mark.paint(picture.planes, 31, 1234.5)
    for cell in {one, other}:
        top, left = 180 - 8 + cell // 40 * 4, cell % 40 * 8
        block = picture.planes[0][top : top + 4, left : left + 8]
        block[:] = 251 - block
    assert mark.read(picture) is None


def test_too_small_a_picture_takes_no_mark() -> None:
    picture = Picture.blank(64, 48, 0.0)
    before = picture.to_i420_array()
    assert not mark.paint(picture.planes, 1, 1.0)
    assert np.array_equal(picture.to_i420_array(), before)
    assert mark.read(picture) is None
    assert not mark.fits(64, 48)
