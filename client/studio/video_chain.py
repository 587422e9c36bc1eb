"""Pictures from the source to the self view and through the encoder; a late one is dropped and counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from client.media.codec.errors import CodecError
from client.media.picture import Picture
from client.media.slot import LatestSlot
from client.media.sources import SourceThread, VideoSourceSpec, open_video
from client.studio.messages import (
    EncodeVideo,
    SourceFailed,
    SourceStarted,
    StudioEvent,
    VideoEncoded,
    VideoReport,
)
from client.studio.picture_encoder import PictureEncoder

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0


class VideoChain:
    """One source thread and one encoder thread with a latest-wins slot between them.

    `emit` gets the events, `show` every picture of the source; both are called from the two threads.
    """

    def __init__(self, emit: Callable[[StudioEvent], None], show: Callable[[Picture], None]) -> None:
        self._emit = emit
        self._show = show
        self._slot: LatestSlot[Picture] = LatestSlot()
        self._source: SourceThread[Picture] | None = None
        self._spec: VideoSourceSpec | None = None
        self._lock = threading.Lock()
        self._wanted = EncodeVideo(on=False)
        self._key_frame = True
        self._captured = 0
        self._closing = False
        self._thread = threading.Thread(target=self._encode_loop, name="video encoder", daemon=True)
        self._thread.start()

    def use(self, spec: VideoSourceSpec | None) -> None:
        """Change the source. The old device is let go first; waits for it at most 1.5 s.

        The source that runs already is left alone; one that failed is tried again.
        """
        if self._source is not None:
            if spec == self._spec and self._source.running:
                return
            self._source.stop()
            self._source = None
        self._spec = spec
        if spec is None or self._closing:
            return
        self._source = SourceThread(
            lambda: open_video(spec),
            self._captured_one,
            lambda name: self._emit(SourceStarted("video", name)),
            lambda sentence: self._emit(SourceFailed("video", sentence)),
            name="video source",
        )
        self._source.start()

    def encode(self, command: EncodeVideo) -> None:
        """Start, stop or change the encoding."""
        with self._lock:
            if command.on and not self._wanted.on:
                self._key_frame = True
            self._wanted = command
        if not command.on:
            self._slot.clear()

    def key_frame(self) -> None:
        """The next picture becomes a key frame."""
        with self._lock:
            self._key_frame = True

    def close(self) -> None:
        """Stop both threads."""
        self._closing = True
        self.use(None)
        self._slot.wake()
        self._thread.join(1.5)

    def _captured_one(self, picture: Picture) -> None:
        self._captured += 1
        if self._wanted.on:
            self._slot.put(picture)
        self._show(picture)

    def _encode_loop(self) -> None:
        encoder = PictureEncoder()
        reported_at, encoded, spent, fresh = time.monotonic(), 0, 0.0, 0
        while not self._closing:
            picture = self._slot.wait(5.0)
            if picture is None:
                continue
            begun = time.monotonic()
            if self._encode_one(encoder, picture):
                encoded += 1
                fresh += 1
                spent += time.monotonic() - begun
            if begun - reported_at >= REPORT_SECONDS:
                mean = 1000.0 * spent / fresh if fresh else 0.0
                self._emit(VideoReport(self._captured, encoded, self._slot.dropped, mean))
                reported_at, spent, fresh = begun, 0.0, 0

    def _encode_one(self, encoder: PictureEncoder, picture: Picture) -> bool:
        with self._lock:
            wanted, key_frame = self._wanted, self._key_frame
        if not wanted.on or not encoder.due(picture, wanted):
            return False
        try:
            encoded = encoder.encode(picture, wanted, key_frame)
        except CodecError as error:
            log.warning("a picture was lost: %s", error)
            return False
        with self._lock:
            if encoded.key_frame and key_frame:
                self._key_frame = False
            if not self._wanted.on:
                return False
            self._emit(
                VideoEncoded(encoded.data, encoded.key_frame, encoded.captured_at, encoded.timestamp_90k)
            )
        return True
