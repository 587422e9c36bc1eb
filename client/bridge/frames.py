"""I420 pictures into Qt's video frames: one copy, row by row, because the strides differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QSize

from client.bridge.multimedia import QVideoFrame, QVideoFrameFormat
from client.bridge.ports import PictureLike

_PIXELS = QVideoFrameFormat.PixelFormat.Format_YUV420P


def picture_format(width: int, height: int) -> QVideoFrameFormat:
    """The format of a camera picture: I420, BT.601, video range, as VP8 carries it.

    Qt gives the colours of an odd last row or column no room, so odd sizes lose that one line.
    """
    shape = QVideoFrameFormat(QSize(width & ~1, height & ~1), _PIXELS)
    shape.setColorSpace(QVideoFrameFormat.ColorSpace.ColorSpace_BT601)
    shape.setColorRange(QVideoFrameFormat.ColorRange.ColorRange_Video)
    return shape


def to_video_frame(picture: PictureLike, shape: QVideoFrameFormat | None = None) -> QVideoFrame:
    """Copy `picture` into a new frame; raises ValueError when a plane is too short for its size."""
    frame = QVideoFrame(shape or picture_format(picture.width, picture.height))
    if not frame.map(QVideoFrame.MapMode.WriteOnly):
        raise ValueError("Qt gave no memory for a picture")
    try:
        for plane in range(3):
            rows = frame.height() if plane == 0 else frame.height() // 2
            width = frame.width() if plane == 0 else frame.width() // 2
            source = _rows(picture.planes[plane], rows, width, picture.strides[plane])
            target = _rows(frame.bits(plane), rows, width, frame.bytesPerLine(plane))
            np.copyto(target, source)
    finally:
        frame.unmap()
    return frame


def _rows(buffer: Any, rows: int, width: int, stride: int) -> np.ndarray:
    """A view of `rows` x `width` bytes over a flat or two-dimensional buffer."""
    if isinstance(buffer, np.ndarray) and buffer.ndim == 2:
        return buffer[:rows, :width]
    try:
        return np.ndarray((rows, width), np.uint8, buffer, 0, (stride, 1))
    except (TypeError, ValueError) as error:
        raise ValueError("a picture's plane is shorter than its size says") from error
