"""Pictures wrap memory with any stride and odd sizes without losing a sample."""

from __future__ import annotations

import av
import numpy as np
import pytest

from client.media.fit import fill, fill_picture
from client.media.picture import Picture
from tests.client.media.material import busy_picture

SIZES = [(320, 180), (641, 361), (16, 16), (1, 1), (854, 480)]


def noise(width: int, height: int) -> Picture:
    picture = Picture.blank(width, height, 3.5)
    generator = np.random.default_rng(width)
    for plane in picture.planes:
        plane[:] = generator.integers(0, 256, plane.shape, dtype=np.uint8)
    return picture


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_to_a_frame_and_back_is_the_same(width: int, height: int) -> None:
    original = noise(width, height)
    back = Picture.from_av(original.to_av(), 3.5)
    assert (back.width, back.height, back.captured_at) == (width, height, 3.5)
    for one, other in zip(original.planes, back.planes, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(original.to_i420_array(), back.to_i420_array())


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_strides_tell_where_rows_begin(width: int, height: int) -> None:
    picture = Picture.from_av(noise(width, height).to_av(), 0.0)
    for plane, stride in zip(picture.planes, picture.strides, strict=True):
        assert stride >= plane.shape[1]
        assert plane.shape[0] == 1 or plane.strides[0] == stride


def test_a_packed_array_makes_the_same_picture() -> None:
    original = noise(322, 182)
    again = Picture.from_buffer(original.to_i420_array(), 322, 182, 1.0)
    assert all(np.array_equal(one, other) for one, other in zip(original.planes, again.planes, strict=True))


def test_other_formats_are_converted() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 255, np.uint8), format="rgb24")
    picture = Picture.from_av(frame, 0.0)
    assert int(picture.planes[0].min()) == 235
    assert np.all(np.abs(picture.planes[1].astype(int) - 128) <= 1)


@pytest.mark.parametrize("size", [(640, 360), (320, 240), (200, 360), (1280, 720), (90, 160)])
def test_fill_gives_exactly_the_size(size: tuple[int, int]) -> None:
    frame = busy_picture(480, 270, 0.0).to_av()
    result = fill(frame, *size)
    assert (result.width, result.height, result.format.name) == (*size, "yuv420p")


def test_fill_keeps_the_aspect_and_cuts_the_sides() -> None:
    picture = Picture.blank(400, 200, 0.0)
    picture.planes[0][:, :100] = 235  # the left quarter is white
    picture.planes[0][:, 300:] = 235  # and the right one
    squared = fill_picture(picture, 200, 200)
    assert int(squared.planes[0][:, 8:192].max()) < 40  # both are cut off


def test_fill_leaves_a_picture_of_the_right_size_alone() -> None:
    picture = busy_picture(64, 64, 0.0)
    assert fill_picture(picture, 64, 64) is picture
