"""Milliseconds of CPU per picture and per sound frame of the client's media, beside aiortc's codecs.

Both VP8 encoders get the same pictures and the same bitrate; beside the time stands what they made of it (dB
of luma and kbit/s), since speed alone can be bought with quality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from time import process_time
from typing import Final

import av
import numpy as np
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from bench.result import Result, Row
from client.media import mark
from client.media.codec import OpusDecoder, OpusEncoder, VideoDecoder, VideoEncoder
from client.media.picture import Picture
from client.media.playback import Mixer
from client.media.sound import FRAME_SAMPLES, PACKET_SAMPLES, Samples

PEER: Final = "aiortc 1.16"
FPS: Final = 30
#: (width, height, bit/s). aiortc's encoder goes up to 1.5 Mbit/s.
SIZES: Final = ((640, 360, 700_000), (1280, 720, 1_500_000))
PICTURES: Final = 60
#: Measurements of which the quickest counts: noise only ever adds.
ROUNDS: Final = 3
VOICES: Final = 10


def scene(width: int, height: int, count: int) -> list[Picture]:
    """A still room with camera noise and somebody who moves in front of it."""
    random = np.random.default_rng(7)
    x, y = np.arange(width), np.arange(height)[:, None]
    room = 110 + 50 * np.sin(x / 37.0) * np.cos(y / 23.0) + 15 * np.sin((x + y) / 6.0)
    person = 150 + 40 * np.sin(np.arange(width // 3) / 9.0) * np.cos(np.arange(height // 2)[:, None] / 7.0)
    pictures = []
    for number in range(count):
        picture = Picture.blank(width, height, 1.0 + number / FPS)
        canvas = room + random.normal(0.0, 2.0, room.shape)
        left = int(width / 3 + width / 6 * np.sin(number / 12.0))
        top = int(height / 3 + height / 20 * np.cos(number / 5.0))
        canvas[top : top + person.shape[0], left : left + person.shape[1]] = person
        picture.planes[0][:] = canvas.clip(16, 235)
        picture.planes[1][top // 2 :, left // 2 : left // 2 + width // 6] = 110
        pictures.append(picture)
    return pictures


def _ours(pictures: Sequence[Picture], bitrate: int) -> tuple[list[bytes], float]:
    encoder = VideoEncoder(pictures[0].width, pictures[0].height, FPS, bitrate)
    started = process_time()
    encoded = [encoder.encode(picture).data for picture in pictures]
    return encoded, _each(started, len(pictures))


def _theirs(pictures: Sequence[Picture], bitrate: int) -> tuple[list[bytes], float]:
    encoder = Vp8Encoder()
    encoder.target_bitrate = bitrate
    frames = [picture.to_av() for picture in pictures]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
    started = process_time()
    payloads = [encoder.encode(frame)[0] for frame in frames]
    spent = _each(started, len(frames))
    return [b"".join(vp8_depayload(payload) for payload in packets) for packets in payloads], spent


def _decode_ours(frames: Sequence[bytes]) -> tuple[list[Picture], float]:
    decoder = VideoDecoder("VP8")
    started = process_time()
    pictures = [decoder.decode(data, 0.0) for data in frames]
    return [picture for picture in pictures if picture is not None], _each(started, len(frames))


def _decode_theirs(frames: Sequence[bytes]) -> float:
    decoder = Vp8Decoder()
    started = process_time()
    for number, data in enumerate(frames):
        decoder.decode(JitterFrame(data, number * 90_000 // FPS))
    return _each(started, len(frames))


def _each(started: float, count: int) -> float:
    return (process_time() - started) / count * 1000.0


def likeness(originals: Sequence[Picture], shown: Sequence[Picture]) -> float:
    """Mean likeness of luma in dB (PSNR), from the tenth picture on."""
    values = []
    for one, other in list(zip(originals, shown, strict=True))[10:]:
        error = float(((one.planes[0].astype(np.float32) - other.planes[0]) ** 2).mean())
        values.append(10.0 * np.log10(255.0**2 / max(error, 1e-6)))
    return float(np.mean(values))


def _kilobits(frames: Sequence[bytes]) -> float:
    return sum(map(len, frames)) * 8 * FPS / len(frames) / 1000.0


def video_rows(
    width: int, height: int, bitrate: int, count: int = PICTURES, rounds: int = ROUNDS
) -> list[Row]:
    """VP8 there and back at one size."""
    pictures = scene(width, height, count)
    encode: list[float] = []
    encode_peer: list[float] = []
    decode: list[float] = []
    decode_peer: list[float] = []
    for _ in range(rounds):
        ours, spent = _ours(pictures, bitrate)
        encode.append(spent)
        theirs, spent = _theirs(pictures, bitrate)
        encode_peer.append(spent)
        shown, spent = _decode_ours(ours)
        decode.append(spent)
        decode_peer.append(_decode_theirs(ours))
    shown_peer, _ = _decode_ours(theirs)
    case, planes = f"{width}x{height}", pictures[0].planes
    return [
        _row(f"VP8 encode {case}", "CPU per picture", "ms", min(encode), min(encode_peer)),
        _row(
            f"VP8 encode {case}",
            "likeness of luma",
            "dB",
            likeness(pictures, shown),
            likeness(pictures, shown_peer),
        ),
        _row(f"VP8 encode {case}", "bitrate", "kbit/s", _kilobits(ours), _kilobits(theirs)),
        _row(f"VP8 decode {case}", "CPU per picture", "ms", min(decode), min(decode_peer)),
        _row(f"mark paint {case}", "CPU per picture", "ms", _timed(partial(mark.paint, planes, 5, 1.5))),
        _row(f"mark read {case}", "CPU per picture", "ms", _timed(lambda: mark.read(pictures[0]))),
    ]


def sound_rows() -> list[Row]:
    """Opus and the mixer; aiortc's Opus is stereo at 96 kbit/s and says nothing beside ours."""
    samples = np.rint(np.random.default_rng(1).normal(0.0, 3000.0, PACKET_SAMPLES)).astype(np.int16)
    encoder, decoder, mixer = OpusEncoder(), OpusDecoder(), Mixer()
    packet = encoder.encode(samples)

    def voice(count: int) -> Samples:
        return samples[:count]

    for number in range(VOICES):
        mixer.set_source(str(number), voice)
    return [
        _row("Opus encode 20 ms mono", "CPU per packet", "ms", _timed(lambda: encoder.encode(samples))),
        _row("Opus decode 20 ms mono", "CPU per packet", "ms", _timed(lambda: decoder.decode(packet))),
        _row("Opus conceal 20 ms", "CPU per packet", "ms", _timed(decoder.conceal)),
        _row(f"mix {VOICES} voices, 10 ms", "CPU per frame", "ms", _timed(lambda: mixer.pull(FRAME_SAMPLES))),
    ]


def _timed(call: Callable[[], object], calls: int = 200) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = process_time()
        for _ in range(calls):
            call()
        best = min(best, _each(started, calls))
    return best


def _row(case: str, metric: str, unit: str, hearth: float, peer: float | None = None) -> Row:
    if peer is None:
        return Row(case, metric, unit, round(hearth, 4))
    return Row(case, metric, unit, round(hearth, 4), PEER, round(peer, 4))


def run() -> Result:
    """All rows."""
    rows = [row for width, height, bitrate in SIZES for row in video_rows(width, height, bitrate)]
    conditions = {"pictures": PICTURES, "rounds": f"quickest of {ROUNDS}", "fps": FPS, "pyav": av.__version__}
    return Result("media-costs", [*rows, *sound_rows()], conditions)
