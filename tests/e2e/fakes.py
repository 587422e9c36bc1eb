"""What the browser's camera and microphone see and hear: files with a mark and a tone."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from client.media import mark
from client.media.picture import Picture

WIDTH, HEIGHT, FPS = 320, 180, 10
FRAMES = 20
#: Of a busy film, like a real camera: at fewer an encoder that made a key frame leaves out pictures for long.
BUSY_FPS = 20
GRAIN = 2  # pixels


def write_camera(
    path: Path, identity: int, size: tuple[int, int] = (WIDTH, HEIGHT), *, busy: bool = False
) -> Path:
    """A short Y4M film, looped by the browser: a moving bar over grey and the mark `identity`.

    A `busy` one has grain that changes with every picture, so that an encoder uses all the rate it may have.
    """
    grain = np.random.default_rng(identity) if busy else None
    fps = BUSY_FPS if busy else FPS
    with path.open("wb") as film:
        film.write(f"YUV4MPEG2 W{size[0]} H{size[1]} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for picture in _pictures(identity, size, grain):
            film.write(b"FRAME\n" + picture.to_i420_array().tobytes())
    return path


def _pictures(
    identity: int, size: tuple[int, int], grain: np.random.Generator | None = None
) -> Iterator[Picture]:
    width, height = size
    for number in range(FRAMES):
        picture = Picture.blank(width, height, 0.0)
        luma = picture.planes[0]
        luma[:] = 90
        bar = width // 4
        left = number * (width - bar) // FRAMES
        luma[:, left : left + bar] = 200
        if grain is not None:  # fine enough to be averaged away in the smallest layer
            coarse = grain.integers(0, 30, (-(-height // GRAIN), -(-width // GRAIN)), np.uint8)
            luma += coarse.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)[:height, :width]
        mark.paint(picture.planes, identity, number / FPS)
        yield picture


def write_microphone(path: Path, frequency: float, level_dbfs: float = -20.0) -> Path:
    """A second of sine as a WAV file (48 kHz, 16 bits, mono) whose loop has no seam."""
    time = np.arange(48000) / 48000
    peak = 10 ** (level_dbfs / 20) * np.sqrt(2)  # the level is that of the mean square
    samples = np.round(32767 * peak * np.sin(2 * np.pi * round(frequency) * time)).astype("<i2")
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 48000, 48000, "NONE", ""))
        sound.writeframes(samples.tobytes())
    return path


def page_devices(identity: int, frequency: float, size: tuple[int, int]) -> str:
    """The same for a browser that takes no files: a JavaScript function that puts a canvas and an oscillator
    in the place of the page's devices. The picture is drawn from runs of equal luma, row by row."""
    films = [_rectangles(picture) for picture in _pictures(identity, size)]
    options = {"films": films, "width": size[0], "height": size[1], "fps": FPS, "frequency": round(frequency)}
    return f"() => {{ const options = {json.dumps(options, separators=(',', ':'))}; {_DEVICES} }}"


def _rectangles(picture: Picture) -> list[tuple[int, int, int, int, int]]:
    """The picture as (left, top, width, height, grey), grey 0..255; rows that are the same share theirs."""
    luma = picture.planes[0]
    changed_rows = np.flatnonzero((np.diff(luma.astype(np.int16), axis=0) != 0).any(axis=1)) + 1
    tops = [0, *changed_rows.tolist(), picture.height]
    found = []
    for top, bottom in pairwise(tops):
        row = luma[top].astype(np.int16)
        lefts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), picture.width]
        for left, right in pairwise(lefts):
            grey = min(255, max(0, round((int(row[left]) - 16) * 255 / 219)))
            found.append((left, top, right - left, bottom - top, grey))
    return found


_DEVICES = """
  if (!navigator.mediaDevices) return;
  const camera = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [options.width, options.height];
    const context = canvas.getContext("2d");
    let number = 0;
    const paint = () => {
      for (const [left, top, width, height, grey] of options.films[number]) {
        context.fillStyle = `rgb(${grey},${grey},${grey})`;
        context.fillRect(left, top, width, height);
      }
      number = (number + 1) % options.films.length;
    };
    paint();
    setInterval(paint, 1000 / options.fps);
    return canvas.captureStream();
  };
  const microphone = () => {
    const context = new AudioContext();
    const gain = new GainNode(context, { gain: 0.1 * Math.SQRT2 });  // -20 dBFS
    const source = new OscillatorNode(context, { frequency: options.frequency });
    const sink = context.createMediaStreamDestination();
    source.connect(gain).connect(sink);
    source.start();
    return sink.stream;
  };
  navigator.mediaDevices.getUserMedia = async (wanted) => (wanted.video ? camera() : microphone());
"""
