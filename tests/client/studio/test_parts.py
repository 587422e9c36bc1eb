"""The pure parts of the studio: timestamps, pace, backoff, and the ring of pictures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.media.picture import Picture
from client.studio.backoff import STEPS, Backoff
from client.studio.messages import EncodeVideo
from client.studio.picture_encoder import PictureEncoder
from client.studio.picture_ring import MAX_HEIGHT, MAX_WIDTH, PictureRing
from client.studio.sound_chain import SampleClock
from tests.client.media.material import busy_picture


@given(st.floats(0.0, 1e6), st.lists(st.floats(-0.05, 0.05), max_size=60))
def test_sound_is_counted_not_timed(start: float, jitter: list[float]) -> None:
    clock = SampleClock()
    first = clock.stamp(start, 480)
    for number, late in enumerate(jitter, 1):
        stamp = clock.stamp(start + number * 0.01 + late, 480)
        assert (stamp - first) & 0xFFFF_FFFF == number * 480


def test_a_gap_in_the_sound_is_a_gap_in_the_timestamps() -> None:
    clock = SampleClock()
    clock.stamp(10.0, 480)
    assert clock.stamp(11.0, 480) == 11 * 48_000
    assert clock.stamp(11.01, 480) == 11 * 48_000 + 480


def test_sound_timestamps_wrap() -> None:
    clock = SampleClock()
    near = (2**32 - 480) / 48_000
    assert clock.stamp(near, 480) == 2**32 - 480
    assert clock.stamp(near + 0.01, 480) == 0


@pytest.mark.parametrize(
    ("source", "wanted", "least", "most"),
    [(30, 30, 88, 90), (60, 30, 84, 92), (30, 15, 42, 47), (25, 30, 74, 75)],
)
def test_no_more_pictures_than_wanted(source: int, wanted: int, least: int, most: int) -> None:
    encoder, random = PictureEncoder(), np.random.default_rng(4)
    taken = 0
    for number in range(3 * source):
        at = 100.0 + number / source + float(random.normal(0.0, 0.003))
        taken += encoder.due(Picture.blank(16, 16, at), EncodeVideo(True, fps=wanted))
    assert least <= taken <= most


def test_pictures_go_on_after_a_pause_and_after_the_clock_of_another_source() -> None:
    encoder, wanted = PictureEncoder(), EncodeVideo(True, fps=30)
    assert encoder.due(Picture.blank(16, 16, 100.0), wanted)
    assert encoder.due(Picture.blank(16, 16, 200.0), wanted)
    assert encoder.due(Picture.blank(16, 16, 50.0), wanted)


def test_one_that_keeps_dying_is_started_ever_slower() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(7)] == [*STEPS, STEPS[-1], STEPS[-1]]
    assert backoff.after(60.0) == STEPS[0]


@pytest.fixture
def ring() -> PictureRing:
    return PictureRing.create()


def same(one: Picture, other: Picture) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


def test_the_ring_gives_the_latest_picture_once(ring: PictureRing) -> None:
    writer = PictureRing.attach(ring.name)
    assert ring.read() is None
    pictures = [busy_picture(64 + 2 * number, 48, float(number)) for number in range(7)]
    for picture in pictures:
        writer.write(picture)
    latest = ring.read()
    assert latest is not None
    assert latest.captured_at == 6.0
    assert same(latest, pictures[6])
    assert ring.read() is None
    writer.write(pictures[0])
    again = ring.read()
    assert again is not None
    assert same(again, pictures[0])
    writer.close()
    ring.close()


def test_a_picture_that_is_being_overwritten_is_not_given(ring: PictureRing) -> None:
    writer = PictureRing.attach(ring.name)
    writer.write(busy_picture(64, 48, 1.0))
    place = 64 + 1 * (64 + MAX_WIDTH * MAX_HEIGHT * 3 // 2)
    ring._buffer[place : place + 8] = (7).to_bytes(8, "little")  # as if the writer had come round again
    assert ring.read() is None
    writer.close()
    ring.close()


def test_a_picture_too_large_is_scaled_down(ring: PictureRing) -> None:
    writer = PictureRing.attach(ring.name)
    writer.write(Picture.blank(2560, 1440, 2.0))
    picture = ring.read()
    assert picture is not None
    assert (picture.width, picture.height) == (MAX_WIDTH, MAX_HEIGHT)
    writer.close()
    ring.close()


def test_a_ring_whose_owner_is_gone_cannot_be_attached(ring: PictureRing) -> None:
    name = ring.name
    ring.close()
    with pytest.raises(FileNotFoundError):
        PictureRing.attach(name)


PARENT = """
import sys, threading
from client.media.sources import TestPictureSpec
from client.studio import SelfView, Studio, UseVideo
seen = threading.Event()
studio = Studio("process", lambda event: seen.set() if isinstance(event, SelfView) else None)
studio.start()
studio.send(UseVideo(TestPictureSpec(1, 160, 90, 30.0)))
assert seen.wait(30.0)
print(studio.pid, flush=True)
sys.stdin.read()
"""


def test_the_studio_dies_with_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        studio = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        gone, _ = psutil.wait_procs([studio], timeout=5.0)
        assert gone


def test_a_program_that_just_ends_leaves_no_noise_and_no_studio() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PARENT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stderr is not None
        studio = psutil.Process(int(parent.stdout.readline()))
        begun = time.monotonic()
        parent.stdin.close()
        parent.wait(20.0)
        assert time.monotonic() - begun < 10.0
        gone, _ = psutil.wait_procs([studio], timeout=5.0)
        assert gone
        assert "leaked" not in parent.stderr.read()
