"""The decoding thread: pictures out, key frames asked for, nothing kills it."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

import pytest

from client.media.codec import VideoEncoder
from client.media.picture import Picture
from client.media.playback import DecodeWorker
from tests.client.media.material import busy_picture


@dataclass
class Frame:
    data: bytes
    key_frame: bool
    last_arrival: float


def encoded(count: int, keys: tuple[int, ...] = (0,)) -> list[Frame]:
    encoder = VideoEncoder(160, 90)
    frames = []
    for number in range(count):
        result = encoder.encode(busy_picture(160, 90, number / 30.0), key_frame=number in keys)
        frames.append(Frame(result.data, result.key_frame, float(number)))
    return frames


class Viewer:
    """Collects what a worker says."""

    def __init__(self, queue_frames: int = 12, held: bool = False) -> None:
        self.pictures: queue.Queue[Picture] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.asked_count = 0
        self.gate = threading.Event()
        if not held:
            self.gate.set()
        self.worker = DecodeWorker("VP8", self._picture, self._ask, queue_frames=queue_frames)
        self.worker.start()

    def _picture(self, picture: Picture) -> None:
        self.pictures.put(picture)
        self.gate.wait(20.0)

    def _ask(self) -> None:
        self.asked_count += 1
        self.asked.release()

    def arrivals(self, count: int) -> list[float]:
        return [self.pictures.get(timeout=10.0).captured_at for _ in range(count)]


def test_pictures_come_in_order_with_the_time_of_arrival() -> None:
    viewer = Viewer()
    for frame in encoded(8):
        viewer.worker.submit(frame)
    assert viewer.arrivals(8) == [float(number) for number in range(8)]
    assert viewer.worker.stop()
    assert viewer.asked_count == 0
    assert viewer.worker.counts.decoded == 8


def test_without_a_key_frame_one_is_asked_for() -> None:
    viewer = Viewer()
    frames = encoded(6, keys=(0, 4))
    for frame in frames[1:]:
        viewer.worker.submit(frame)
    assert viewer.arrivals(2) == [4.0, 5.0]
    assert viewer.worker.stop()
    assert viewer.asked_count == 3
    assert viewer.worker.counts.skipped == 3


def test_a_broken_frame_is_counted_and_the_thread_goes_on() -> None:
    viewer = Viewer()
    frames = encoded(7, keys=(0, 5))
    viewer.worker.submit(frames[0])
    viewer.worker.submit(Frame(b"\xff" * 40, True, 1.0))
    assert viewer.asked.acquire(timeout=10.0)
    viewer.worker.submit(frames[3])  # builds on what was lost
    assert viewer.asked.acquire(timeout=10.0)
    viewer.worker.submit(frames[5])
    viewer.worker.submit(frames[6])
    assert viewer.arrivals(3) == [0.0, 5.0, 6.0]
    assert viewer.worker.stop()
    assert viewer.worker.counts.errors == 1


def test_too_many_frames_are_skipped_up_to_the_next_key_frame() -> None:
    viewer = Viewer(queue_frames=4, held=True)
    frames = encoded(20, keys=(0, 15))
    viewer.worker.submit(frames[0])
    assert viewer.arrivals(1) == [0.0]  # the viewer now holds the worker up
    for frame in frames[1:19]:
        viewer.worker.submit(frame)
    assert viewer.asked_count > 0
    viewer.gate.set()
    shown = viewer.arrivals(4)
    assert viewer.worker.stop()
    assert shown == [15.0, 16.0, 17.0, 18.0]
    counts = viewer.worker.counts
    assert counts.submitted == 19
    assert counts.skipped == 14
    assert counts.errors == 0


def test_a_viewer_that_raises_does_not_stop_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    seen: queue.Queue[float] = queue.Queue()

    def show(picture: Picture) -> None:
        seen.put(picture.captured_at)
        raise RuntimeError("no tile")

    worker = DecodeWorker("VP8", show, lambda: None)
    worker.start()
    for frame in encoded(3):
        worker.submit(frame)
    assert [seen.get(timeout=10.0) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert worker.stop()
    assert "could not be handed on" in caplog.text


def test_stopping_needs_no_start_and_may_be_repeated() -> None:
    worker = DecodeWorker("H264", lambda picture: None, lambda: None)
    assert worker.stop()
    assert worker.stop()
