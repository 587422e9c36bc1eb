"""The mixer adds voices, keeps them inside 16 bits and says how loud each is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.media.playback import Mixer
from client.media.playback.limiter import CEILING, Limiter
from client.media.sound import FRAME_SAMPLES, Samples
from tests.client.media.material import pitch, sine


class Player:
    """Gives a long sound piece by piece."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._place = 0

    def __call__(self, count: int) -> Samples | None:
        piece = self._samples[self._place : self._place + count]
        self._place += count
        return piece if piece.size == count else None


def mixed(mixer: Mixer, frames: int) -> Samples:
    return np.concatenate([mixer.pull(FRAME_SAMPLES) for _ in range(frames)])


def test_nobody_is_silence() -> None:
    assert not Mixer().pull(480).any()


def test_one_quiet_voice_passes_unchanged() -> None:
    mixer, voice = Mixer(), sine(300.0, 0.5, 5000.0)
    mixer.set_source("a", Player(voice))
    assert np.array_equal(mixed(mixer, 50), voice)


def test_two_voices_are_both_heard() -> None:
    mixer = Mixer()
    mixer.set_source("a", Player(sine(300.0, 1.0, 6000.0)))
    mixer.set_source("b", Player(sine(1000.0, 1.0, 3000.0)))
    sound = mixed(mixer, 100)
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))
    assert spectrum[300] == pytest.approx(2 * spectrum[1000], rel=0.01)
    assert spectrum[300] > 100 * np.median(spectrum)
    mixer.remove("a")
    mixer.remove("nobody")
    mixer.set_source("b", Player(sine(1000.0, 1.0, 3000.0)))
    assert pitch(mixed(mixer, 100)) == pytest.approx(1000.0, abs=1.0)


def test_a_crowd_is_limited_not_torn() -> None:
    mixer = Mixer()
    for number in range(20):
        mixer.set_source(str(number), Player(sine(200.0, 1.0, 20_000.0)))
    sound = mixed(mixer, 100)[4800:]
    assert int(np.abs(sound.astype(int)).max()) <= 32_767
    assert np.abs(sound).max() == pytest.approx(CEILING, rel=0.02)
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(sound.size)))
    base = 200 * sound.size // 48_000
    harmonics = sum(spectrum[base * times] for times in (2, 3, 5))
    assert harmonics < 0.03 * spectrum[base], "limiting must not distort"


def test_the_gain_comes_back_after_a_shout() -> None:
    limiter = Limiter()
    for _ in range(10):
        limiter.process(np.full(480, 100_000.0, np.float32))
    quiet = np.full(480, 1000.0, np.float32)
    first = int(limiter.process(quiet)[-1])
    for _ in range(150):
        last = int(limiter.process(quiet)[-1])
    assert first < 500
    assert last == 1000


@settings(max_examples=60)
@given(st.lists(st.floats(0.0, 3e6, width=32), min_size=1, max_size=12), st.integers(1, 960))
def test_nothing_wraps_around(amplitudes: list[float], count: int) -> None:
    limiter = Limiter()
    steps = np.arange(count, dtype=np.float32)
    for amplitude in amplitudes:
        total = np.sin(steps * 0.2 + 0.1).astype(np.float32) * np.float32(amplitude)
        out = limiter.process(total)
        assert out.size == count
        loud = np.abs(total) > 1.0
        assert np.all(np.sign(out[loud]) * np.sign(total[loud]) >= 0)


def test_levels_rise_at_once_and_fall_slowly() -> None:
    mixer = Mixer()
    mixer.set_source("a", Player(sine(300.0, 0.01, 20_000.0)))
    mixer.set_source("b", lambda count: None)
    mixer.pull(480)
    loud = mixer.levels()
    assert loud["a"] > 0.8
    assert loud["b"] == 0.0
    assert mixer.levels_dbov()["a"] < 10
    mixer.pull(480)
    assert 0.5 < mixer.levels()["a"] < loud["a"]
    assert mixer.levels_dbov()["a"] == 127
    for _ in range(200):
        mixer.pull(480)
    assert mixer.levels()["a"] < 0.01


def test_a_voice_that_fails_is_silent_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    mixer, voice = Mixer(), sine(300.0, 0.1, 5000.0)

    def broken(count: int) -> Samples | None:
        raise ValueError("no")

    mixer.set_source("broken", broken)
    mixer.set_source("short", lambda count: np.ones(3, np.int16))
    mixer.set_source("a", Player(voice))
    assert np.array_equal(mixed(mixer, 10), voice)
    assert caplog.text.count("a voice cannot be read") == 1


def test_the_tap_sees_what_is_played() -> None:
    mixer = Mixer()
    tapped: list[Samples] = []
    mixer.tap = tapped.append
    mixer.set_source("a", Player(sine(300.0, 0.1)))
    played = mixed(mixer, 10)
    assert np.array_equal(np.concatenate(tapped), played)
