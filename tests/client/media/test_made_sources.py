"""Test picture, tone and silence."""

from __future__ import annotations

import numpy as np
import pytest

from client.media import mark
from client.media.mark import Mark
from client.media.sound import level_dbov
from client.media.sources import SilenceSpec, TestPictureSpec, ToneSpec, open_sound, open_video
from tests.client.media.material import pitch


def test_the_test_picture_moves_and_says_who_it_is() -> None:
    reader = open_video(TestPictureSpec(77, 320, 180, 25.0))
    assert reader.period == pytest.approx(0.04)
    one, other = reader.read(10.0), reader.read(10.5)
    assert one is not None
    assert other is not None
    assert mark.read(one) == Mark(77, 10.0)
    assert mark.read(other) == Mark(77, 10.5)
    assert not np.array_equal(one.planes[0][:150], other.planes[0][:150])
    assert one.captured_at == 10.0


def test_neighbours_have_different_colours() -> None:
    colours = set()
    for identity in range(8):
        picture = open_video(TestPictureSpec(identity, 160, 90)).read(0.0)
        assert picture is not None
        colours.add((int(picture.planes[1][0, 0]), int(picture.planes[2][0, 0])))
    assert len(colours) == 8


@pytest.mark.parametrize("frequency", [440.0, 997.3])
def test_a_tone_has_its_pitch_and_level_and_no_clicks(frequency: float) -> None:
    reader = open_sound(ToneSpec(frequency, -20.0))
    samples = np.concatenate([reader.read(0.0).samples for _ in range(100)])  # type: ignore[union-attr]
    assert pitch(samples) == pytest.approx(frequency, abs=0.3)
    assert level_dbov(samples) == 20
    steepest = 2.0 * np.pi * frequency / 48_000 * 4634.0
    assert int(np.abs(np.diff(samples.astype(int))).max()) <= steepest + 2


def test_silence_is_silent() -> None:
    frame = open_sound(SilenceSpec()).read(1.0)
    assert frame is not None
    assert not frame.samples.any()
