"""Percentiles, tiles and loudness: the arithmetic behind the report."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.app.figures import TileFigures, all_delays, loudness, p50_p99, percentile, summary


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 50) == 50.0
    assert percentile(values, 99) == 99.0
    assert percentile(values, 100) == 100.0
    assert percentile([7.0], 99) == 7.0
    assert percentile([], 50) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_value_with_that_share_below(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert found is not None
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-6


def test_a_tile_counts_pictures_marks_and_delays() -> None:
    tile = TileFigures()
    tile.saw(11, 10.000, 10.050)
    tile.saw(11, 10.033, 10.093)
    tile.saw(11, 10.033, 10.200)  # the same picture again: shown, but no new one and no new delay
    tile.saw(None, 0.0, 10.300)
    tile.saw(12, 10.250, 10.350)
    result = tile.to_dict()
    assert result["frames_shown"] == 5
    assert result["distinct_pictures"] == 3
    assert result["marks_unread"] == 1
    assert result["identities"] == {"11": 3, "12": 1}
    assert result["glass_to_glass_ms"] == {"p50": 60.0, "p99": 100.0}
    assert tile.first_at == 10.050
    json.dumps(result)


def test_loudness_adds_powers() -> None:
    assert loudness([-20.0, -20.0]) == -17.0
    assert loudness([-20.0, None, -math.inf]) == -20.0
    assert loudness([]) is None
    assert loudness([None]) is None


def test_a_summary_adds_up_its_sources() -> None:
    a, b = TileFigures(), TileFigures()
    a.saw(1, 0.0, 0.040)
    b.saw(2, 0.0, 0.060)
    sources = [
        {"name": "A", **a.to_dict(), "frames_received": 3, "audio_packets": 50, "audio_level_dbfs": -20.0,
         "join_to_first_frame_ms": 400.0},
        {"name": "B", **b.to_dict(), "frames_received": 2, "audio_packets": 0, "audio_level_dbfs": None,
         "join_to_first_frame_ms": 350.04},
        {"name": "C", **TileFigures().to_dict()},
    ]  # fmt: skip
    result = summary("me", sources, all_delays({"a": a, "b": b}))
    assert result["frames_received"] == 5
    assert result["frames_shown"] == result["distinct_pictures"] == 2
    assert result["audio_packets"] == 50
    assert result["audio_level_dbfs"] == -20.0
    assert result["join_to_first_frame_ms"] == 350.0
    assert result["glass_to_glass_ms"] == {"p50": 40.0, "p99": 60.0}
    assert [source["name"] for source in result["sources"]] == ["A", "B", "C"]


def test_nothing_seen_is_null_and_not_zero() -> None:
    result = summary("me", [], [])
    assert result["join_to_first_frame_ms"] is None
    assert result["audio_level_dbfs"] is None
    assert p50_p99([]) == {"p50": None, "p99": None}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_delays_stay_bounded(share: float) -> None:
    tile = TileFigures()
    for number in range(60_000):
        tile.saw(1, float(number), number + share)
    assert tile.shown == 60_000
    assert len(tile.times) == len(tile.delays_ms) == 54_000
