"""Where the tiles of a call stand: a pure function, so that any window size can be tested."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

#: Picture shape the tiles are made for.
WIDE = 16 / 9


class Rect(NamedTuple):
    """A tile's place in pixels, from the top left corner of the area."""

    x: float
    y: float
    width: float
    height: float


def fit(count: int, width: float, height: float, aspect: float = WIDE, gap: float = 8) -> list[Rect]:
    """Place `count` equal tiles of `aspect` in `width` x `height` pixels, as large as they can be.

    Every number of columns is tried; the largest tile wins, and among equals the one that leaves fewer
    holes. Rows are centred, the last one too. Sizes are whole pixels, so edges stay sharp.
    """
    if count <= 0 or width <= 0 or height <= 0:
        return []
    columns, tile_width, tile_height = _best(count, width, height, aspect, gap)
    rows = ceil(count / columns)
    top = (height - rows * tile_height - (rows - 1) * gap) // 2
    places: list[Rect] = []
    for row in range(rows):
        in_row = min(columns, count - row * columns)
        left = (width - in_row * tile_width - (in_row - 1) * gap) // 2
        y = top + row * (tile_height + gap)
        places += [Rect(left + n * (tile_width + gap), y, tile_width, tile_height) for n in range(in_row)]
    return places


def _best(count: int, width: float, height: float, aspect: float, gap: float) -> tuple[int, int, int]:
    """The number of columns that gives the largest tile, and that tile's size in whole pixels."""
    best = (1, 0, 0)
    best_rank = (-1.0, 0)
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        room_x = (width - (columns - 1) * gap) / columns
        room_y = (height - (rows - 1) * gap) / rows
        tile = min(room_x, room_y * aspect)
        if tile < 1 or tile / aspect < 1:
            continue
        rank = (tile, -(columns * rows - count))
        if rank > best_rank:
            best, best_rank = (columns, int(tile), int(tile / aspect)), rank
    return best
