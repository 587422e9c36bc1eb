"""What the browser's camera and microphone see and hear: files with a mark and a tone."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from client.media import mark
from client.media.picture import Picture

WIDTH, HEIGHT, FPS = 320, 180, 10
FRAMES = 20


def write_camera(path: Path, identity: int) -> Path:
    """A short Y4M film, looped by the browser: a moving bar over grey and the mark `identity`."""
    with path.open("wb") as film:
        film.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(FRAMES):
            picture = Picture.blank(WIDTH, HEIGHT, 0.0)
            picture.planes[0][:] = 90
            left = number * (WIDTH - 80) // FRAMES
            picture.planes[0][:, left : left + 80] = 200
            mark.paint(picture.planes, identity, number / FPS)
            film.write(b"FRAME\n" + picture.to_i420_array().tobytes())
    return path


def write_microphone(path: Path, frequency: float, level_dbfs: float = -20.0) -> Path:
    """A second of sine as a WAV file (48 kHz, 16 bits, mono) whose loop has no seam."""
    time = np.arange(48000) / 48000
    peak = 10 ** (level_dbfs / 20) * np.sqrt(2)  # the level is that of the mean square
    samples = np.round(32767 * peak * np.sin(2 * np.pi * round(frequency) * time)).astype("<i2")
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 48000, 48000, "NONE", ""))
        sound.writeframes(samples.tobytes())
    return path
