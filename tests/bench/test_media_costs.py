"""The bench of the media keeps the form, and its peer really does the same work."""

from __future__ import annotations

import pytest

from bench.media_costs import likeness, scene, sound_rows, video_rows
from bench.result import Result, complaints


def test_rows_compare_like_with_like() -> None:
    rows = video_rows(320, 180, 300_000, count=25, rounds=1)
    assert complaints(Result("media-costs", [*rows, *sound_rows()]).to_dict()) == []
    by_name = {(row.case, row.metric): row for row in rows}
    bitrate = by_name["VP8 encode 320x180", "bitrate"]
    assert bitrate.ratio == pytest.approx(1.0, abs=0.4)
    luma = by_name["VP8 encode 320x180", "likeness of luma"]
    assert luma.hearth > 25.0
    assert luma.peer is not None
    assert luma.peer > 25.0
    assert all(row.hearth > 0.0 for row in rows)


def test_likeness_is_highest_for_equal_pictures() -> None:
    pictures = scene(160, 90, 12)
    assert likeness(pictures, pictures) > 90.0
    assert likeness(pictures, list(reversed(pictures))) < 60.0
