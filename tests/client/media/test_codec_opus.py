"""Opus there and back, and what is heard when packets are lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.media.codec import CodecError, OpusDecoder, OpusEncoder
from client.media.codec.concealment import Concealment
from client.media.sound import PACKET_SAMPLES, Samples, level_dbov
from tests.client.media.material import pitch, sine


def packets(samples: Samples, **options: object) -> list[bytes]:
    encoder = OpusEncoder(**options)  # type: ignore[arg-type]
    return [
        encoder.encode(samples[start : start + PACKET_SAMPLES])
        for start in range(0, samples.size - PACKET_SAMPLES + 1, PACKET_SAMPLES)
    ]


def test_a_tone_comes_back_with_pitch_and_level() -> None:
    decoder = OpusDecoder()
    pieces = [decoder.decode(packet) for packet in packets(sine(440.0, 1.0))]
    assert {piece.size for piece in pieces} == {PACKET_SAMPLES}
    heard = np.concatenate(pieces[10:])
    assert pitch(heard) == pytest.approx(440.0, abs=0.5)
    assert abs(level_dbov(heard) - level_dbov(sine(440.0, 1.0))) <= 1


def test_the_bitrate_is_followed() -> None:
    noise = (np.random.default_rng(3).normal(0, 4000, 48_000)).astype(np.int16)
    small = sum(map(len, packets(noise, bitrate=16_000)))
    large = sum(map(len, packets(noise, bitrate=64_000)))
    assert small * 8 < 24_000
    assert large > 2 * small


def test_a_packet_takes_20_ms() -> None:
    with pytest.raises(CodecError, match="960"):
        OpusEncoder().encode(np.zeros(480, np.int16))


def test_every_packet_is_one_frame_of_20_ms() -> None:
    # RFC 6716, section 3.1: the two low bits of the first byte count the frames; code 0 is one.
    assert {packet[0] & 3 for packet in packets(sine(300.0, 0.5))} == {0}


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_bounded_sound(payload: bytes) -> None:
    decoder = OpusDecoder()
    try:
        samples = decoder.decode(payload)
    except CodecError:
        return
    assert samples.dtype == np.int16
    assert 0 < samples.size <= 5760


def test_an_oversized_payload_is_refused() -> None:
    with pytest.raises(CodecError):
        OpusDecoder().decode(bytes(10_000))


def test_a_lost_packet_sounds_like_its_neighbours() -> None:
    decoder = OpusDecoder()
    sent = packets(sine(200.0, 1.0))
    heard = []
    for number, packet in enumerate(sent):
        heard.append(decoder.conceal() if number in (20, 30, 31) else decoder.decode(packet))
    hole = heard[20]
    assert hole.size == PACKET_SAMPLES
    assert pitch(np.concatenate(heard[18:23])) == pytest.approx(200.0, abs=6.0)
    assert abs(level_dbov(hole) - level_dbov(heard[19])) <= 4
    # No cliff where the guess begins: the tone itself climbs 210 per sample at most.
    seam = np.concatenate((heard[19][-2:], hole[:2])).astype(int)
    assert int(np.abs(np.diff(seam)).max()) < 1500


def test_a_long_hole_fades_to_silence() -> None:
    concealment = Concealment()
    concealment.received(sine(150.0, 0.1))
    guesses = [concealment.conceal(PACKET_SAMPLES) for _ in range(6)]
    levels = [level_dbov(guess) for guess in guesses]
    assert levels[0] < levels[1] < levels[2]
    assert not guesses[4].any()


def test_concealing_before_anything_came_is_silence() -> None:
    assert not Concealment().conceal(PACKET_SAMPLES).any()
    assert not OpusDecoder().conceal().any()


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([120, 480, 960, 2880])), max_size=20))
def test_concealment_keeps_every_length(steps: list[tuple[bool, int]]) -> None:
    concealment = Concealment()
    for lost, count in steps:
        noise = np.random.default_rng(count).integers(-32768, 32767, count).astype(np.int16)
        result = concealment.conceal(count) if lost else concealment.received(noise)
        assert result.size == count
        assert result.dtype == np.int16
