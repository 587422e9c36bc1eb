"""From packets of a jitter buffer to 10 ms of sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from client.media.codec import OpusEncoder
from client.media.playback import SoundStream
from client.media.sound import FRAME_SAMPLES, PACKET_SAMPLES, Samples
from rtc.audio_jitter_buffer import LOST, AudioJitterBuffer, Lost
from rtc.rtp import RtpPacket
from tests.client.media.material import pitch, sine

Item = bytes | Literal[Lost.LOST] | None


def tone_packets(count: int, frequency: float = 440.0) -> list[bytes]:
    encoder, samples = OpusEncoder(), sine(frequency, count * 0.02)
    return [encoder.encode(samples[n * PACKET_SAMPLES : (n + 1) * PACKET_SAMPLES]) for n in range(count)]


def stream_of(items: list[Item]) -> SoundStream:
    source: Iterator[Item] = iter(items)
    return SoundStream(lambda: next(source, None))


def test_a_packet_serves_two_frames() -> None:
    stream = stream_of(list(tone_packets(50)))
    frames = [stream.pull(FRAME_SAMPLES) for _ in range(100)]
    heard = [frame for frame in frames if frame is not None]
    assert len(heard) == 100
    assert pitch(np.concatenate(heard)) == pytest.approx(440.0, abs=0.5)
    assert (stream.packets, stream.concealed, stream.errors) == (50, 0, 0)


def test_nothing_is_none_and_asked_for_once_per_20_ms() -> None:
    asked = 0

    def empty() -> None:
        nonlocal asked
        asked += 1

    stream = SoundStream(empty)
    assert [stream.pull(FRAME_SAMPLES) for _ in range(10)] == [None] * 10
    assert asked == 5


def test_after_silence_sound_comes_again() -> None:
    packets = tone_packets(3)
    stream = stream_of([packets[0], None, packets[1], packets[2]])
    heard = [stream.pull(FRAME_SAMPLES) is not None for _ in range(8)]
    assert heard == [True, True, False, False, True, True, True, True]


def test_lost_and_broken_packets_are_concealed_and_counted() -> None:
    packets = tone_packets(12)
    stream = stream_of([*packets[:8], LOST, b"\xff" * 5, packets[10], packets[11]])
    frames = [stream.pull(FRAME_SAMPLES) for _ in range(24)]
    assert all(frame is not None and frame.size == FRAME_SAMPLES for frame in frames)
    assert stream.concealed == 1
    assert stream.packets + stream.errors == 11


def test_odd_pulls_give_what_was_asked() -> None:
    stream = stream_of(list(tone_packets(20)))
    sizes = [1, 441, 480, 1024, 3, 960]
    pulled = [stream.pull(size) for size in sizes]
    assert [piece.size for piece in pulled if piece is not None] == sizes


def test_out_of_the_real_jitter_buffer() -> None:
    buffer, now = AudioJitterBuffer(), 100.0
    for number, payload in enumerate(tone_packets(40)):
        packet = RtpPacket(111, 65_530 + number & 0xFFFF, number * PACKET_SAMPLES, 1, False, payload)
        buffer.add(packet, now + number * 0.0001)
    stream = SoundStream.of(buffer, clock=lambda: now + 0.1)
    frames: list[Samples] = []
    for _ in range(60):
        frame = stream.pull(FRAME_SAMPLES)
        if frame is not None:
            frames.append(frame)
    assert stream.packets >= 25
    assert pitch(np.concatenate(frames)) == pytest.approx(440.0, abs=2.0)
