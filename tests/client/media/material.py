"""Small files and pictures that the media tests are made of."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from client.media.picture import Picture
from client.media.sound import Samples


def busy_picture(width: int, height: int, at: float, seed: int = 1) -> Picture:
    """Something a codec has to work for: texture, noise, and motion with `at` (seconds)."""
    picture = Picture.blank(width, height, at)
    x = np.arange(width)[None, :] + 90.0 * at
    y = np.arange(height)[:, None] + 30.0 * at
    noise = np.random.default_rng(seed + int(at * 1000)).normal(0.0, 6.0, (height, width))
    waves = 128.0 + 60.0 * np.sin(x / 13.0) * np.sin(y / 9.0) + 25.0 * np.sin((x + y) / 5.0)
    picture.planes[0][:] = (waves + noise).clip(16, 235).astype(np.uint8)
    picture.planes[1][:] = 100
    picture.planes[2][:] = 150
    return picture


def psnr(one: Picture, other: Picture) -> float:
    """Likeness of two pictures' luma in dB; 100 for equal ones."""
    difference = one.planes[0].astype(np.float64) - other.planes[0]
    error = float((difference**2).mean())
    return 100.0 if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))


def write_film(path: Path, width: int, height: int, frames: int, fps: int = 30) -> Path:
    """A film whose picture n is grey of luma 40 + 4 n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(frames):
            picture = Picture.blank(width, height, 0.0)
            picture.planes[0][:] = 40 + 4 * number
            frame = picture.to_av()
            frame.pts = number
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path, samples: Samples, rate: int = 48_000, channels: int = 1) -> Path:
    """A WAV file; `samples` interleaved."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def sine(frequency: float, seconds: float, amplitude: float = 8000.0, rate: int = 48_000) -> Samples:
    """A sine as int16."""
    steps = np.arange(round(seconds * rate))
    return np.rint(amplitude * np.sin(2.0 * np.pi * frequency * steps / rate)).astype(np.int16)


def pitch(samples: Samples, rate: int = 48_000) -> float:
    """The strongest frequency in Hz, to a fraction of a bin."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(samples.size), 4 * samples.size))
    return float(np.argmax(spectrum)) * rate / (4 * samples.size)
