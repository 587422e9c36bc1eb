"""Recorded speakers who let each other finish: their recordings cut into turns, one speaker at a time."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

#: Seconds one speaks before the next does.
TURN = 5.0
#: How loud a turn is, RMS in dBFS: recordings of very different loudness become alike.
LEVEL = -23.0
#: No sample is made louder than this share of full scale: a recording with peaks stays quieter than LEVEL.
_PEAK = 0.9
#: What is quieter than this share of the loudest sample counts as the silence before the first word.
_SILENCE = 0.1


def read_wave(path: Path) -> tuple[Samples, int]:
    """The samples of a 16-bit mono WAV file and their rate per second; ValueError for another kind."""
    with wave.open(str(path), "rb") as stream:
        if (stream.getsampwidth(), stream.getnchannels()) != (2, 1):
            raise ValueError(f"{path.name} is not a 16-bit mono recording")
        samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2").astype(np.int16)
        return samples, stream.getframerate()


def write_wave(path: Path, samples: Samples, rate: int) -> None:
    """Write 16-bit mono samples."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(samples.astype("<i2").tobytes())


def one_part(
    samples: Samples, rate: int, place: int, speakers: int, rounds: int, turn: float = TURN
) -> Samples:
    """`rounds` turns of the speaker at `place` (0..speakers-1), with silence while the others speak.

    The result lasts rounds * speakers * turn seconds, so that all parts loop in step.
    """
    length = round(turn * rate)
    voice = _normalised(_from_first_word(samples))
    part = np.zeros(rounds * speakers * length, np.int16)
    for number in range(rounds):
        start = (number * speakers + place) * length
        words = np.take(voice, np.arange(number * length, (number + 1) * length), mode="wrap")
        part[start : start + length] = words
    return part


def write_turns(recordings: Sequence[Path], into: Path, rounds: int = 2) -> list[Path]:
    """Write one file a recording into the folder `into`; played at once, one of them speaks at a time."""
    written = []
    for place, recording in enumerate(recordings):
        samples, rate = read_wave(recording)
        path = into / f"turns-{place}.wav"
        write_wave(path, one_part(samples, rate, place, len(recordings), rounds), rate)
        written.append(path)
    return written


def _from_first_word(samples: Samples) -> Samples:
    loud = np.flatnonzero(
        np.abs(samples.astype(np.int32)) > _SILENCE * np.abs(samples.astype(np.int32)).max()
    )
    return samples[loud[0] :] if loud.size else samples


def _normalised(samples: Samples) -> Samples:
    values = samples.astype(np.float64) / 32768.0
    power = float(np.mean(values**2))
    if power == 0.0:
        return samples
    gain = min(10 ** (LEVEL / 20) / np.sqrt(power), _PEAK / float(np.abs(values).max()))
    return np.rint(values * gain * 32767.0).astype(np.int16)
