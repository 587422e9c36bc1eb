"""A machine-readable strip in the picture: who made it and when, so that tests and benches need not guess.

Layout: the bottom of the picture carries 2 rows of 40 cells, each a fortieth of the width wide and half as
high (8x4 at 320x180, 16x8 at 640x360, 32x16 at 1280x720), so a scaled copy of the picture can still be
read. A white cell (luma 235) is 1, a black one (luma 16) is 0; chroma is neutral. Bits, most significant
first, row by row: 16 identity, 40 time in ticks of 0.1 ms of the monotonic clock, 24 check bits (the low
bits of CRC-32 over the seven bytes before). A strip that was damaged on the way gives None: a wrong answer
slips through the check with a probability of 2^-24 per damaged picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from client.media.picture import Picture, Plane

COLUMNS = 40
ROWS = 2
TICKS_PER_SECOND = 10_000
#: Below this width the cells are too small to survive a codec.
MIN_WIDTH = 160
_BLACK, _WHITE, _NEUTRAL, _THRESHOLD = 16, 235, 128, 126


@dataclass(frozen=True, slots=True)
class Mark:
    """What a strip says: `identity` 0..65535, `time` in seconds of the painter's monotonic clock."""

    identity: int
    time: float


@lru_cache(maxsize=32)
def _edges(width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Cell borders along x (41 values) and y (3 values); None if the picture is too small."""
    if width < MIN_WIDTH or height < ROWS * width // COLUMNS:
        return None
    across = np.round(np.arange(COLUMNS + 1) * width / COLUMNS).astype(np.intp)
    down = height - np.round(np.arange(ROWS, -1, -1) * width / (2 * COLUMNS)).astype(np.intp)
    return across, down


def fits(width: int, height: int) -> bool:
    """Whether a picture of this size can carry a mark."""
    return _edges(width, height) is not None


def paint(planes: Sequence[Plane], identity: int, now: float) -> bool:
    """Paint the strip into Y, U and V (two-dimensional, writable); False if the picture is too small."""
    luma = planes[0]
    height, width = luma.shape
    edges = _edges(width, height)
    if edges is None:
        return False
    across, down = edges
    body = (identity & 0xFFFF).to_bytes(2, "big") + _ticks(now).to_bytes(5, "big")
    data = body + (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "big")
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(ROWS, COLUMNS)
    cells = np.where(bits, np.uint8(_WHITE), np.uint8(_BLACK))
    widths = np.diff(across)
    for row in range(ROWS):
        luma[down[row] : down[row + 1]] = np.repeat(cells[row], widths)
    top = down[0] // 2
    planes[1][top:] = _NEUTRAL
    planes[2][top:] = _NEUTRAL
    return True


def read(picture: Picture) -> Mark | None:
    """The mark of a picture, or None if there is none or it cannot be read with certainty."""
    luma = picture.planes[0]
    edges = _edges(picture.width, picture.height)
    if edges is None:
        return None
    cells = _cell_means(luma, *edges)
    data = np.packbits(cells > _THRESHOLD).tobytes()
    body, check = data[:7], int.from_bytes(data[7:], "big")
    if zlib.crc32(body) & 0xFFFFFF != check:
        return None
    return Mark(int.from_bytes(body[:2], "big"), int.from_bytes(body[2:], "big") / TICKS_PER_SECOND)


def _ticks(now: float) -> int:
    return int(now * TICKS_PER_SECOND) & 0xFF_FFFF_FFFF


def _cell_means(luma: Plane, across: NDArray[np.intp], down: NDArray[np.intp]) -> NDArray[np.float64]:
    """The mean luma of the middle half of each cell, row by row: borders are where a codec smears."""
    widths = np.diff(across)
    starts = across[:-1] + widths // 4
    ends = starts + np.maximum(widths // 2, 1)
    means = np.empty((ROWS, COLUMNS))
    for row in range(ROWS):
        quarter = (down[row + 1] - down[row]) // 4
        band = luma[down[row] + quarter : down[row + 1] - quarter].mean(axis=0)
        sums = np.concatenate(([0.0], np.cumsum(band)))
        means[row] = (sums[ends] - sums[starts]) / (ends - starts)
    return means.reshape(-1)
