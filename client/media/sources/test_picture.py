"""A picture that needs no camera: a moving pattern whose colour tells the identity, with a mark."""

from __future__ import annotations

import numpy as np

from client.media import mark
from client.media.picture import Picture
from client.media.sources.specs import TestPictureSpec

#: How far the texture moves per second, in parts of the width.
_DRIFT = 0.12


class TestPictureReader:
    """Cuts a window out of a texture made once, so that a picture costs little more than one copy."""

    __test__ = False

    def __init__(self, spec: TestPictureSpec) -> None:
        self.name = f"Test picture {spec.identity}"
        self.period: float | None = 1.0 / spec.fps
        self._spec = spec
        self._texture = _texture(spec.width, spec.height)
        # Hues a golden angle apart: neighbours in identity look different to the eye.
        angle = spec.identity * 2.399963
        self._blue = np.uint8(128 + 50 * np.cos(angle))
        self._red = np.uint8(128 + 50 * np.sin(angle))

    def read(self, now: float) -> Picture:
        """The pattern as it stands at `now`, marked with `now`."""
        width, height = self._spec.width, self._spec.height
        picture = Picture.blank(width, height, now)
        luma, blue, red = picture.planes
        shift = int(now * _DRIFT * width) % width
        luma[:] = self._texture[:, shift : shift + width]
        blue[:] = self._blue
        red[:] = self._red
        self._paint_bar(luma, now)
        mark.paint(picture.planes, self._spec.identity, now)
        return picture

    def _paint_bar(self, luma: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], now: float) -> None:
        """A bright bar that goes once round per second: stutter shows at a glance."""
        height, width = luma.shape
        breadth = max(4, width // 40)
        left = int((now % 1.0) * (width - breadth))
        luma[height // 3 : height // 3 + max(4, height // 12), left : left + breadth] = 225

    def close(self) -> None:
        """Nothing to let go of."""


def _texture(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Soft waves that repeat after `width`, twice as wide as the picture."""
    x = np.arange(2 * width) * (2.0 * np.pi / width)
    y = np.arange(height)[:, None] * (2.0 * np.pi / max(height, 1))
    waves = 110.0 + 35.0 * np.sin(3.0 * x + 2.0 * y) + 25.0 * np.sin(7.0 * x - y) * np.cos(2.0 * y)
    return np.asarray(waves.clip(16, 235), np.uint8)
