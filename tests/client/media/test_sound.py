"""Levels as RFC 6464 has them, and a voice flag that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.media.sound import SILENCE_DBOV, VoiceGate, level_dbov, meter, silence
from tests.client.media.material import sine


def test_levels() -> None:
    assert level_dbov(silence()) == SILENCE_DBOV
    assert level_dbov(np.full(480, -32768, np.int16)) == 0
    assert level_dbov(sine(1000.0, 0.01, 32767.0)) == 3
    assert level_dbov(sine(1000.0, 0.01, 3276.7)) == 23
    assert level_dbov(np.zeros(0, np.int16)) == SILENCE_DBOV


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=960))
def test_a_level_fits_into_seven_bits(samples: list[int]) -> None:
    assert 0 <= level_dbov(np.array(samples, np.int16)) <= 127


def test_the_meter_goes_from_nothing_to_full() -> None:
    assert meter(127) == meter(60) == 0.0
    assert meter(0) == 1.0
    assert meter(30) == pytest.approx(0.5)


def test_voice_stands_out_of_the_room_and_holds() -> None:
    gate = VoiceGate()
    assert not any(gate.voice(62, 0.02) for _ in range(100))
    assert gate.voice(30, 0.02)
    held = [gate.voice(62, 0.02) for _ in range(30)]
    assert held[:14] == [True] * 14
    assert not any(held[15:])


def test_a_steady_noise_stops_being_voice() -> None:
    gate = VoiceGate()
    flags = [gate.voice(45, 0.02) for _ in range(1500)]
    assert flags[0]
    assert not flags[-1]


def test_speech_over_noise_is_still_voice() -> None:
    gate = VoiceGate()
    for _ in range(1500):
        gate.voice(45, 0.02)
    assert gate.voice(25, 0.02)
