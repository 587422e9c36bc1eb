"""One picture of a stream: I420 planes in memory that nobody writes to any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


def plane_view(plane: VideoPlane, columns: int, rows: int) -> Plane:
    """The visible samples of a plane of PyAV as an array of shape (rows, columns); no copy."""
    stride = plane.line_size
    # PyAV's plane offers the buffer protocol, which its type hints do not say.
    flat: Plane = np.frombuffer(cast(memoryview, plane), np.uint8)
    return flat[: rows * stride].reshape(rows, stride)[:, :columns]


@dataclass(slots=True)
class Picture:
    """An I420 picture (BT.601 or as the stream says, limited range), 8 bits a sample.

    `planes` are Y, U and V as two-dimensional uint8 arrays of the visible samples only: Y has shape
    (height, width), U and V ((height + 1) // 2, (width + 1) // 2). Rows lie `strides[i]` bytes apart, which
    may be more than the row is wide: copy row by row unless they are equal. `captured_at` is in monotonic
    seconds: for own pictures when they were taken, for received ones when their last packet arrived. `keep`
    owns the memory. Whoever holds a picture reads it only.
    """

    width: int
    height: int
    planes: tuple[Plane, Plane, Plane]
    strides: tuple[int, int, int]
    captured_at: float
    keep: object = None

    @classmethod
    def from_av(cls, frame: av.VideoFrame, captured_at: float) -> Picture:
        """Wrap a frame of PyAV; no copy if it is yuv420p, else converted."""
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        width, height = frame.width, frame.height
        halves = ((width + 1) // 2, (height + 1) // 2)
        sizes = ((width, height), halves, halves)
        planes = []
        strides = []
        for plane, (columns, rows) in zip(frame.planes, sizes, strict=True):
            planes.append(plane_view(plane, columns, rows))
            strides.append(plane.line_size)
        return cls(
            width,
            height,
            (planes[0], planes[1], planes[2]),
            (strides[0], strides[1], strides[2]),
            captured_at,
            frame,
        )

    @classmethod
    def from_buffer(cls, buffer: Any, width: int, height: int, captured_at: float) -> Picture:
        """Wrap tightly packed I420 bytes (Y, U, V one after the other, no padding); no copy."""
        columns, rows = (width + 1) // 2, (height + 1) // 2
        luma, chroma = width * height, columns * rows
        flat = np.frombuffer(buffer, np.uint8, luma + 2 * chroma)
        planes = (
            flat[:luma].reshape(height, width),
            flat[luma : luma + chroma].reshape(rows, columns),
            flat[luma + chroma :].reshape(rows, columns),
        )
        return cls(width, height, planes, (width, columns, columns), captured_at, buffer)

    @classmethod
    def blank(cls, width: int, height: int, captured_at: float) -> Picture:
        """A new black picture whose planes may be painted before it is handed on."""
        columns, rows = (width + 1) // 2, (height + 1) // 2
        memory = np.empty(width * height + 2 * columns * rows, np.uint8)
        memory[: width * height] = 16
        memory[width * height :] = 128
        return cls.from_buffer(memory, width, height, captured_at)

    def to_i420_array(self) -> Plane:
        """A copy as one flat uint8 array, tightly packed: Y, U, V."""
        return np.concatenate([plane.reshape(-1) for plane in self.planes])

    def to_av(self) -> av.VideoFrame:
        """The picture as a yuv420p frame of PyAV: the one it came from if there is one, else a copy."""
        if isinstance(self.keep, av.VideoFrame):
            return self.keep
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for source, target in zip(self.planes, frame.planes, strict=True):
            rows, columns = source.shape
            plane_view(target, columns, rows)[:] = source
        return frame
