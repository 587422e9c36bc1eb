"""Tiles never overlap, never leave the window, are equal, and as large as they can be."""

from __future__ import annotations

from itertools import combinations
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.bridge.grid import WIDE, Rect, fit

COUNTS = st.integers(1, 25)
WIDTHS = st.integers(320, 5120)
HEIGHTS = st.integers(240, 2880)


@given(COUNTS, WIDTHS, HEIGHTS)
def test_tiles_are_equal_inside_and_apart(count: int, width: int, height: int) -> None:
    tiles = fit(count, width, height)
    assert len(tiles) == count
    assert len({(tile.width, tile.height) for tile in tiles}) == 1
    for tile in tiles:
        assert tile.x >= 0
        assert tile.y >= 0
        assert tile.x + tile.width <= width
        assert tile.y + tile.height <= height
    for one, other in combinations(tiles, 2):
        beside = abs(one.x - other.x) >= one.width + 8
        above = abs(one.y - other.y) >= one.height + 8
        assert beside or above


@given(COUNTS, WIDTHS, HEIGHTS)
def test_tiles_keep_their_shape_to_the_pixel(count: int, width: int, height: int) -> None:
    tile = fit(count, width, height)[0]
    assert abs(tile.width - tile.height * WIDE) <= WIDE + 1


@given(COUNTS, WIDTHS, HEIGHTS)
def test_no_other_number_of_columns_gives_larger_tiles(count: int, width: int, height: int) -> None:
    got = fit(count, width, height)[0].width
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        wide = (width - (columns - 1) * 8) / columns
        high = (height - (rows - 1) * 8) / rows
        assert got >= int(min(wide, high * WIDE))


@given(COUNTS, WIDTHS, HEIGHTS)
def test_every_row_is_centred(count: int, width: int, height: int) -> None:
    tiles = fit(count, width, height)
    for y in {tile.y for tile in tiles}:
        row = [tile for tile in tiles if tile.y == y]
        left = min(tile.x for tile in row)
        right = width - max(tile.x + tile.width for tile in row)
        assert abs(left - right) <= 1


def test_two_people_stand_side_by_side_in_a_wide_window() -> None:
    assert fit(2, 1248, 656) == [Rect(0, 154, 620, 348), Rect(628, 154, 620, 348)]


@pytest.mark.parametrize(("count", "width", "height"), [(0, 100, 100), (3, 0, 100), (3, 100, 0), (-1, 9, 9)])
def test_nothing_to_place_gives_nothing(count: int, width: int, height: int) -> None:
    assert fit(count, width, height) == []
