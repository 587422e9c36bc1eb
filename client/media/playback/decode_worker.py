"""One thread per shown stream that turns complete frames into pictures."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from client.media.codec.errors import CodecError
from client.media.codec.video_decoder import VideoCodecName, VideoDecoder
from client.media.picture import Picture

log = logging.getLogger(__name__)

#: Frames that may wait. Raising it delays the picture of a slow machine, lowering it skips earlier.
QUEUE_FRAMES = 12


class CompleteFrame(Protocol):
    """What the jitter buffer gives (`rtc.jitter_buffer.EncodedFrame`)."""

    @property
    def data(self) -> bytes: ...
    @property
    def key_frame(self) -> bool: ...
    @property
    def last_arrival(self) -> float: ...


@dataclass(slots=True)
class DecodeCounts:
    """What the worker did so far. `skipped`: frames thrown away while waiting for a key frame."""

    submitted: int = 0
    decoded: int = 0
    skipped: int = 0
    errors: int = 0


class DecodeWorker:
    """Decodes one stream. `submit` may be called from any thread and never waits.

    `on_picture` and `on_key_frame_needed` are called from the worker's thread or, on overflow, from the
    thread that submits. The stream starts with a key frame: whatever comes before the first one is skipped,
    and one is asked for. After a broken frame or an overflow the same happens again. Asking is not throttled
    here.
    """

    def __init__(
        self,
        codec: VideoCodecName,
        on_picture: Callable[[Picture], None],
        on_key_frame_needed: Callable[[], None],
        *,
        name: str = "decode",
        queue_frames: int = QUEUE_FRAMES,
    ) -> None:
        self.counts = DecodeCounts()
        self._codec: VideoCodecName = codec
        self._on_picture = on_picture
        self._on_key_frame_needed = on_key_frame_needed
        self._limit = queue_frames
        self._condition = threading.Condition()
        self._queue: deque[CompleteFrame] = deque()
        self._waiting_for_key = True
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, frame: CompleteFrame) -> None:
        """Queue a frame. If the queue is full everything in it is skipped up to the next key frame."""
        ask = False
        with self._condition:
            self.counts.submitted += 1
            if len(self._queue) >= self._limit:
                self.counts.skipped += len(self._queue)
                self._queue.clear()
                self._waiting_for_key = True
            if self._waiting_for_key and not frame.key_frame:
                self.counts.skipped += 1
                ask = True
            else:
                self._waiting_for_key = False
                self._queue.append(frame)
                self._condition.notify()
        if ask:
            self._on_key_frame_needed()

    def stop(self, timeout: float = 1.5) -> bool:
        """Stop; frames that still wait are thrown away. False if the thread did not end in time."""
        with self._condition:
            self._stopping = True
            self._queue.clear()
            self._condition.notify()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        decoder = VideoDecoder(self._codec)
        while (frame := self._next()) is not None:
            try:
                picture = decoder.decode(frame.data, frame.last_arrival)
            except CodecError as error:
                log.debug("a frame could not be decoded: %s", error)
                self._broken()
                continue
            if picture is None:
                continue
            self.counts.decoded += 1
            try:
                self._on_picture(picture)
            except Exception:
                log.exception("a picture could not be handed on")

    def _next(self) -> CompleteFrame | None:
        with self._condition:
            while not self._queue and not self._stopping:
                self._condition.wait()
            return None if self._stopping else self._queue.popleft()

    def _broken(self) -> None:
        """A frame was bad: what follows builds on it, so skip to a key frame and ask for one."""
        with self._condition:
            self.counts.errors += 1
            while self._queue and not self._queue[0].key_frame:
                self._queue.popleft()
                self.counts.skipped += 1
            self._waiting_for_key = not self._queue
            ask = self._waiting_for_key
        if ask:
            self._on_key_frame_needed()
