"""A sound file as a microphone: looped, 48 kHz mono."""

from __future__ import annotations

import os
from collections.abc import Iterator

import av
import av.error
import numpy as np
from av.container import InputContainer

from client.media.sound import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, Samples, SoundFrame
from client.media.sources.errors import SourceError
from client.media.sources.specs import FileSoundSpec


class FileSoundReader:
    """Decodes as it goes and cuts the sound into 10 ms frames, across the seam of the loop too."""

    def __init__(self, spec: FileSoundSpec) -> None:
        self.name = os.path.basename(spec.path)
        self.period: float | None = FRAME_SECONDS
        self._gain = spec.gain
        self._container = _open(spec.path)
        self._chunks = self._decode()
        self._rest: Samples = np.zeros(0, np.int16)
        self._fill()

    def read(self, now: float) -> SoundFrame:
        """The next 10 ms of the file."""
        self._fill()
        samples, self._rest = self._rest[:FRAME_SAMPLES], self._rest[FRAME_SAMPLES:]
        return SoundFrame(samples, now)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _fill(self) -> None:
        """Decode until one frame is complete."""
        while self._rest.size < FRAME_SAMPLES:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                raise SourceError(f"The file {self.name} has no sound in it. Choose another file.") from None
            except (av.error.FFmpegError, OSError) as error:
                raise SourceError(
                    f"The sound file {self.name} cannot be read any further. Choose another file."
                ) from error
            self._rest = np.concatenate((self._rest, self._scaled(chunk)))

    def _scaled(self, chunk: Samples) -> Samples:
        if self._gain == 1.0:
            return chunk
        scaled = np.rint(chunk.astype(np.float32) * self._gain).clip(-32768, 32767)
        return scaled.astype(np.int16)

    def _decode(self) -> Iterator[Samples]:
        """Chunks of int16 mono, round after round without end."""
        while True:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            empty = True
            for frame in self._container.decode(audio=0):
                frame.pts = None  # a broken timeline in the file must not stop the resampler
                for piece in resampler.resample(frame):
                    empty = False
                    yield np.asarray(piece.to_ndarray().reshape(-1), np.int16)
            for piece in resampler.resample(None):
                yield np.asarray(piece.to_ndarray().reshape(-1), np.int16)
            if empty:
                return
            self._container.seek(0)


def _open(path: str) -> InputContainer:
    name = os.path.basename(path)
    try:
        container = av.open(path)
    except FileNotFoundError:
        raise SourceError(f"The sound file {name} is not there. Choose another file.") from None
    except PermissionError:
        raise SourceError(f"The sound file {name} may not be read. Change its permissions.") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"The file {name} is no sound that can be played. Choose another file.") from error
    if not container.streams.audio:
        container.close()
        raise SourceError(f"The file {name} has no sound in it. Choose another file.")
    return container
