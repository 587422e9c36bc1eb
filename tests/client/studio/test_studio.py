"""The studio as the call sees it, in a process and in threads, with real codecs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from client.media import mark
from client.media.codec import OpusDecoder, VideoDecoder
from client.media.sources import (
    CameraSpec,
    FileSoundSpec,
    FileVideoSpec,
    MicrophoneSpec,
    SilenceSpec,
    TestPictureSpec,
    ToneSpec,
)
from client.studio import (
    EncodeSound,
    EncodeVideo,
    KeyFrame,
    Level,
    SelfView,
    SoundEncoded,
    SourceFailed,
    SourceStarted,
    Studio,
    StudioRestarted,
    UseSound,
    UseVideo,
    VideoEncoded,
    VideoReport,
)
from client.studio.studio import Mode
from tests.client.media.material import pitch, sine, write_film, write_sound
from tests.client.studio.collector import Collector

PICTURE = UseVideo(TestPictureSpec(5, 320, 180, 30.0))
SMALL = EncodeVideo(True, 320, 180, 30.0, 400_000)


class Running:
    """A studio with its events."""

    def __init__(self, mode: Mode) -> None:
        self.events = Collector()
        self.studio = Studio(mode, self.events)

    def __enter__(self) -> Running:
        self.studio.start()
        return self

    def __exit__(self, *problem: object) -> None:
        begun = time.monotonic()
        self.studio.stop()
        assert time.monotonic() - begun < 2.2
        assert not self.studio.alive


@pytest.fixture(params=["thread", "process"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with Running(request.param) as started:
        yield started


@pytest.fixture
def process() -> Iterator[Running]:
    with Running("process") as started:
        yield started


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {entry.name for entry in folder.glob("psm_*")} if folder.is_dir() else set()


def test_pictures_are_encoded_in_order_and_shown(running: Running) -> None:
    running.studio.send(SMALL)
    running.studio.send(PICTURE)
    encoded = running.events.wait(VideoEncoded, 20)
    assert encoded[0].key_frame
    assert running.events.of(SourceStarted)[0] == SourceStarted("video", "Test picture 5")
    decoder = VideoDecoder("VP8")
    for event in encoded:
        shown = decoder.decode(event.data, 0.0)
        assert shown is not None
        read = mark.read(shown)
        assert read is not None
        assert read.identity == 5
        assert read.time == pytest.approx(event.captured_at, abs=0.0002)
        assert event.timestamp_90k == round(event.captured_at * 90_000) & 0xFFFF_FFFF
    times = [event.captured_at for event in encoded]
    assert times == sorted(times)
    assert 0.0 <= time.monotonic() - times[-1] < 30.0
    views = running.events.wait(SelfView, 10)
    moments = [mark.read(view.picture) for view in views]
    assert all(moment is not None and moment.identity == 5 for moment in moments)
    assert [view.picture.captured_at for view in views] == sorted(view.picture.captured_at for view in views)
    reports = running.events.wait(VideoReport)
    assert 0 < reports[0].encoded <= reports[0].captured
    assert reports[0].encode_ms > 0.0


def test_sound_is_encoded_with_level_and_voice(running: Running) -> None:
    running.studio.send(UseSound(ToneSpec(440.0, -20.0)))
    running.studio.send(EncodeSound(True))
    packets = running.events.wait(SoundEncoded, 40)
    assert {packet.level_dbov for packet in packets} == {20}
    assert packets[0].voice
    steps = [
        (later.timestamp_48k - earlier.timestamp_48k) & 0xFFFF_FFFF for earlier, later in pairwise(packets)
    ]
    assert steps.count(960) >= len(steps) - 2  # a stall of the machine may leave a gap, never an overlap
    assert min(steps) >= 960
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(packet.data) for packet in packets])
    assert pitch(heard) == pytest.approx(440.0, abs=2.0)
    levels = running.events.wait(Level, 3)
    assert levels[-1].value == pytest.approx(2 / 3, abs=0.05)


def test_a_key_frame_comes_when_asked_for(running: Running) -> None:
    running.studio.send(SMALL)
    running.studio.send(PICTURE)
    running.events.wait(VideoEncoded, 5)
    running.events.forget()
    running.studio.send(KeyFrame())
    running.events.wait(VideoEncoded, 1, lambda event: event.key_frame)
    after = running.events.wait(VideoEncoded, 12)
    assert sum(event.key_frame for event in after) == 1


def test_muting_stops_packets_at_once_and_levels_go_on(running: Running) -> None:
    running.studio.send(UseSound(ToneSpec(440.0, -20.0)))
    running.studio.send(EncodeSound(True))
    running.events.wait(SoundEncoded, 5)
    running.studio.send(EncodeSound(False))
    if running.studio.pid is None:
        running.events.wait(Level, len(running.events.of(Level)) + 1)  # threads: the command was carried out
    running.events.forget()
    running.events.wait(Level, 3)
    assert not running.events.of(SoundEncoded)
    running.studio.send(EncodeSound(True))
    running.events.wait(SoundEncoded, 3)


def test_switching_the_picture_off_keeps_the_self_view(running: Running) -> None:
    running.studio.send(SMALL)
    running.studio.send(PICTURE)
    running.events.wait(VideoEncoded, 3)
    running.studio.send(EncodeVideo(False))
    running.events.wait(SelfView, len(running.events.of(SelfView)) + 3)
    running.events.forget()
    running.events.wait(SelfView, 8)
    assert not running.events.of(VideoEncoded)
    running.studio.send(SMALL)
    assert running.events.wait(VideoEncoded)[0].key_frame


def test_letting_the_camera_go_ends_the_pictures(running: Running) -> None:
    running.studio.send(PICTURE)
    running.events.wait(SelfView, 2)
    running.studio.send(UseVideo(None))
    running.studio.send(UseSound(ToneSpec()))
    running.events.wait(Level)
    running.events.forget()
    running.events.wait(Level, 3)
    assert not running.events.of(SelfView)


def test_another_source_takes_over(running: Running, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 160, 120, frames=10)
    voice = write_sound(tmp_path / "voice.wav", sine(440.0, 0.5))
    running.studio.send(SMALL)
    running.studio.send(PICTURE)
    running.events.wait(SelfView, 2)
    running.studio.send(UseVideo(FileVideoSpec(str(film), 320, 180, 30.0, mark=8)))
    running.studio.send(UseSound(FileSoundSpec(str(voice))))
    running.events.wait(SourceStarted, 1, lambda event: event.name == "film.mp4")
    running.events.wait(SourceStarted, 1, lambda event: event.name == "voice.wav")

    def of_the_film(event: SelfView) -> bool:
        read = mark.read(event.picture)
        return read is not None and read.identity == 8

    running.events.wait(SelfView, 3, of_the_film)
    running.events.wait(VideoEncoded, 3)


def test_a_source_that_fails_is_a_sentence_and_the_rest_goes_on(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.studio.send(UseVideo(CameraSpec("/dev/no-such-camera")))
    running.studio.send(UseSound(MicrophoneSpec("ffff")))
    failures = running.events.wait(SourceFailed, 2)
    assert {failure.kind for failure in failures} == {"video", "sound"}
    assert all(failure.sentence.endswith(".") for failure in failures)
    running.studio.send(UseSound(SilenceSpec()))
    running.studio.send(EncodeSound(True))
    assert running.events.wait(SoundEncoded)[0].level_dbov == 127
    running.studio.send(PICTURE)
    running.events.wait(SelfView)


def test_the_source_that_runs_already_is_left_alone(running: Running) -> None:
    running.studio.send(PICTURE)
    running.events.wait(SelfView, 2)
    running.studio.send(PICTURE)
    running.events.wait(SelfView, 6)
    assert len(running.events.of(SourceStarted)) == 1


def test_a_killed_process_is_started_again_with_what_was_wanted(process: Running) -> None:
    before = shared_memory()
    process.studio.send(SMALL)
    process.studio.send(PICTURE)
    process.studio.send(UseSound(ToneSpec()))
    process.studio.send(EncodeSound(True))
    process.events.wait(VideoEncoded, 3)
    first = process.studio.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    process.events.wait(StudioRestarted)
    process.events.forget()
    assert process.events.wait(VideoEncoded, 3)[0].key_frame
    process.events.wait(SoundEncoded, 3)
    process.events.wait(SelfView, 3)
    assert process.studio.pid not in (None, first)
    assert len(shared_memory() - before) <= 1, "the memory of the dead process is gone"


def test_a_frozen_process_does_not_hold_up_the_end() -> None:
    events = Collector()
    studio = Studio("process", events)
    studio.start()
    studio.send(PICTURE)
    events.wait(SelfView)
    pid = studio.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    studio.stop()
    assert time.monotonic() - begun < 2.5
    deadline = time.monotonic() + 10.0
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert not psutil.pid_exists(pid)


def test_nothing_is_left_behind() -> None:
    memory, threads = shared_memory(), set(threading.enumerate())
    for mode in ("process", "thread"):
        with Running(mode) as running:
            running.studio.send(SMALL)
            running.studio.send(PICTURE)
            running.studio.send(UseSound(ToneSpec()))
            running.events.wait(VideoEncoded, 2)
            pid = running.studio.pid
        count = len(running.events.events)
        assert set(threading.enumerate()) <= threads
        assert shared_memory() <= memory
        assert pid is None or not psutil.pid_exists(pid)
        assert len(running.events.events) == count


def test_stopping_twice_and_without_a_start_is_harmless() -> None:
    for mode in ("process", "thread"):
        studio = Studio(mode)
        studio.send(PICTURE)
        studio.stop()
        studio.stop()
        studio.send(PICTURE)
        assert not studio.alive


def test_an_early_stop_wins_over_a_slow_start() -> None:
    events = Collector()
    studio = Studio("process", events)
    studio.send(PICTURE)
    studio.start()
    begun = time.monotonic()
    studio.stop()
    assert time.monotonic() - begun < 2.5


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_an_event_that_cannot_be_handled_does_not_end_the_studio(
    mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    collector = Collector()

    def fragile(event: object) -> None:
        collector(event)  # type: ignore[arg-type]
        if isinstance(event, SelfView) and len(collector.of(SelfView)) == 1:
            raise RuntimeError("no screen")

    studio = Studio(mode, fragile)
    studio.start()
    studio.send(PICTURE)
    collector.wait(SelfView, 3)
    studio.stop()
    assert "could not be handled" in caplog.text


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_the_studio_may_be_stopped_from_its_own_events(mode: Mode) -> None:
    stopped = threading.Event()

    def stop_at_once(event: object) -> None:
        studio.stop()
        stopped.set()

    studio = Studio(mode, stop_at_once)
    studio.start()
    studio.send(PICTURE)
    assert stopped.wait(30.0)
