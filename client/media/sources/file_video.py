"""A video file as a camera: looped, scaled to the asked size, paced by the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import av
import av.error
from av.container import InputContainer

from client.media import mark
from client.media.fit import fill
from client.media.picture import Picture
from client.media.sources.errors import SourceError
from client.media.sources.specs import FileVideoSpec

#: Seconds by which a picture of the film may be early: its times are rounded.
_ROUNDING = 0.001
#: A film whose pictures, scaled, take no more bytes than this is decoded once and then repeated from memory.
#: Raising it spares the processor with longer films and takes the memory.
KEPT_BYTES = 64 * 2**20


class FileVideoReader:
    """Decodes as it goes, a short film once; pictures are shown or repeated so that its own speed is kept."""

    def __init__(self, spec: FileVideoSpec) -> None:
        self.name = os.path.basename(spec.path)
        self.period: float | None = 1.0 / spec.fps
        self._spec = spec
        self._container = _open(spec.path)
        self._frames = self._timeline()
        self._shown = 0  # pictures handed out so far
        self._current = self._advance()
        self._next = self._advance()

    def read(self, now: float) -> Picture:
        """The picture of the film that is due, as a copy of its own, captured and marked `now`."""
        position = self._shown / self._spec.fps + _ROUNDING
        while self._next[0] <= position:
            self._current, self._next = self._next, self._advance()
        self._shown += 1
        picture = Picture.from_av(self._current[1], now)
        if self._spec.mark is not None:
            # The film's frame is shown again, so the strip goes onto a copy.
            picture = Picture.from_buffer(picture.to_i420_array(), picture.width, picture.height, now)
            mark.paint(picture.planes, self._spec.mark, now)
        return picture

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _advance(self) -> tuple[float, av.VideoFrame]:
        try:
            return next(self._frames)
        except StopIteration:
            raise SourceError(
                f"The video file {self.name} has no pictures in it. Choose another file."
            ) from None
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(
                f"The video file {self.name} cannot be read any further. Choose another file."
            ) from error

    def _timeline(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames of the asked size with the second at which each is due, round after round without end."""
        offset = 0.0
        width, height = self._spec.width, self._spec.height
        room = KEPT_BYTES // (width * height * 3 // 2)  # pictures that may still be kept
        kept: list[tuple[float, av.VideoFrame]] = []
        while True:
            last = offset
            step = 1.0 / 30.0
            stream = self._container.streams.video[0]
            if stream.average_rate:
                step = 1.0 / float(stream.average_rate)
            first: float | None = None
            for frame in self._container.decode(stream):
                if not isinstance(frame, av.VideoFrame):
                    continue
                time = frame.time if frame.time is not None else 0.0
                if first is None:
                    first = time
                last = max(last, offset + time - first)
                filled = fill(frame, width, height)
                if room > len(kept):
                    kept.append((last, filled))
                else:
                    room = 0
                    kept.clear()
                yield last, filled
            if first is None:
                return
            if kept:
                yield from _again(kept, last + step)
            offset = last + step
            self._container.seek(0)


def _again(kept: list[tuple[float, av.VideoFrame]], length: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """The same frames for ever, each round `length` seconds after the one before."""
    for number in count(1):
        for time, frame in kept:
            yield number * length + time, frame


def _open(path: str) -> InputContainer:
    name = os.path.basename(path)
    try:
        container = av.open(path)
    except FileNotFoundError:
        raise SourceError(f"The video file {name} is not there. Choose another file.") from None
    except PermissionError:
        raise SourceError(f"The video file {name} may not be read. Change its permissions.") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"The file {name} is no video that can be played. Choose another file.") from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"The file {name} has no picture in it. Choose a video file.")
    container.streams.video[0].thread_count = 1
    return container
