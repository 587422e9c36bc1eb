"""Bringing a picture to a size: the frame is filled, the aspect kept, what hangs over is cut off."""

from __future__ import annotations

import av

from client.media.picture import Picture, plane_view


def fill(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """`frame` as yuv420p of exactly `width` x `height`; the frame itself if it is that already."""
    if frame.width == width and frame.height == height:
        return frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")
    # Scale so that the smaller side fits, in even numbers, then cut out the middle.
    scale = max(width / frame.width, height / frame.height)
    wide = max(width, round(frame.width * scale / 2) * 2)
    high = max(height, round(frame.height * scale / 2) * 2)
    scaled = frame.reformat(wide, high, "yuv420p", interpolation="BILINEAR")
    if (wide, high) == (width, height):
        return scaled
    return _middle(scaled, width, height)


def fill_picture(picture: Picture, width: int, height: int) -> Picture:
    """The same for a Picture; the picture itself if it has the size already."""
    if picture.width == width and picture.height == height:
        return picture
    return Picture.from_av(fill(picture.to_av(), width, height), picture.captured_at)


def _middle(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The middle of a yuv420p frame, as a new frame."""
    left = (frame.width - width) // 4 * 2
    top = (frame.height - height) // 4 * 2
    result = av.VideoFrame(width, height, "yuv420p")
    for index, (source, target) in enumerate(zip(frame.planes, result.planes, strict=True)):
        half = 1 if index == 0 else 2
        columns, rows = (width + half - 1) // half, (height + half - 1) // half
        x, y = left // half, top // half
        read = plane_view(source, source.width, source.height)
        plane_view(target, columns, rows)[:] = read[y : y + rows, x : x + columns]
    return result
