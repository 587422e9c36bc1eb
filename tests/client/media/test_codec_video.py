"""VP8 there and back, H.264 back; key frames only when asked; broken data is an error, never more."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.media.codec import CodecError, VideoDecoder, VideoEncoder, default_bitrate
from client.media.codec.video_encoder import timestamp_90k
from client.media.picture import Picture
from tests.client.media.material import busy_picture, psnr


def film(count: int, width: int = 320, height: int = 180) -> list[Picture]:
    return [busy_picture(width, height, 7.0 + number / 30.0) for number in range(count)]


def test_one_picture_in_one_out_and_alike() -> None:
    encoder, decoder = VideoEncoder(320, 180, 30.0, 800_000), VideoDecoder("VP8")
    likeness = []
    for picture in film(30):
        encoded = encoder.encode(picture)
        assert encoded.captured_at == picture.captured_at
        assert encoded.timestamp_90k == timestamp_90k(picture.captured_at)
        shown = decoder.decode(encoded.data, 1.25)
        assert shown is not None
        assert (shown.width, shown.height, shown.captured_at) == (320, 180, 1.25)
        likeness.append(psnr(picture, shown))
    assert min(likeness[10:]) > 26.0


def test_key_frames_come_first_and_on_demand_only() -> None:
    encoder = VideoEncoder(320, 180)
    flags = [
        encoder.encode(picture, key_frame=number == 25).key_frame for number, picture in enumerate(film(60))
    ]
    assert [number for number, flag in enumerate(flags) if flag] == [0, 25]


def test_a_scene_cut_makes_no_key_frame() -> None:
    encoder = VideoEncoder(160, 90)
    pictures = film(10, 160, 90) + [busy_picture(160, 90, 90.0 + n / 30.0, seed=50) for n in range(10)]
    flags = [encoder.encode(picture).key_frame for picture in pictures]
    assert sum(flags) == 1


def test_the_bitrate_is_kept() -> None:
    encoder = VideoEncoder(320, 180, 30.0, 300_000)
    sizes = [len(encoder.encode(picture).data) for picture in film(120)]
    assert sum(sizes[30:]) * 8 * 30 / 90 == pytest.approx(300_000, rel=0.25)


def test_a_new_bitrate_starts_with_a_key_frame_and_is_kept() -> None:
    encoder = VideoEncoder(320, 180, 30.0, 600_000)
    pictures = film(150)
    for picture in pictures[:30]:
        encoder.encode(picture)
    encoder.set_bitrate(620_000)  # too near to bother
    assert not encoder.encode(pictures[30]).key_frame
    encoder.set_bitrate(150_000)
    rest = [encoder.encode(picture) for picture in pictures[31:]]
    assert rest[0].key_frame
    assert sum(len(item.data) for item in rest[30:]) * 8 * 30 / len(rest[30:]) < 250_000


def test_pictures_of_another_size_are_scaled() -> None:
    encoder, decoder = VideoEncoder(160, 90), VideoDecoder("VP8")
    shown = decoder.decode(encoder.encode(busy_picture(640, 480, 1.0)).data, 0.0)
    assert shown is not None
    assert (shown.width, shown.height) == (160, 90)


def test_two_pictures_of_the_same_moment_are_both_encoded() -> None:
    encoder = VideoEncoder(160, 90)
    picture = busy_picture(160, 90, 3.0)
    stamps = [encoder.encode(picture).timestamp_90k for _ in range(3)]
    assert stamps == [270_000, 270_001, 270_002]


def test_timestamps_wrap_at_32_bits() -> None:
    encoder = VideoEncoder(160, 90)
    late = (2**32 + 90_000) / 90_000
    assert encoder.encode(busy_picture(160, 90, late)).timestamp_90k == 90_000


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        VideoEncoder(8, 8)
    with pytest.raises(ValueError, match="no decoder"):
        VideoDecoder("AV1")  # type: ignore[arg-type]


def test_default_bitrates() -> None:
    assert default_bitrate(640, 360) == 700_000
    assert default_bitrate(1280, 720) == 1_800_000
    assert default_bitrate(160, 90) < default_bitrate(960, 540) < default_bitrate(1920, 1080)


def test_h264_is_decoded_at_once() -> None:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 320, 180, "yuv420p"
    codec.time_base = Fraction(1, 30)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    decoder = VideoDecoder("H264")
    for number, picture in enumerate(film(10)):
        frame = picture.to_av()
        frame.pts = number
        for packet in codec.encode(frame):
            shown = decoder.decode(bytes(packet), 0.0)
            assert shown is not None
            assert psnr(picture, shown) > 24.0


@settings(max_examples=150)
@given(data=st.binary(max_size=400), codec=st.sampled_from(["VP8", "H264"]))
def test_garbage_is_an_error_or_nothing(data: bytes, codec: str) -> None:
    decoder = VideoDecoder(codec)  # type: ignore[arg-type]
    for _ in range(2):
        try:
            decoder.decode(data, 0.0)
        except CodecError:
            pass


def test_a_decoder_goes_on_with_the_next_key_frame_after_garbage() -> None:
    encoder, decoder = VideoEncoder(160, 90), VideoDecoder("VP8")
    pictures = film(6, 160, 90)
    good = [
        encoder.encode(picture, key_frame=number % 3 == 0).data for number, picture in enumerate(pictures)
    ]
    assert decoder.decode(good[0], 0.0) is not None
    with pytest.raises(CodecError):
        decoder.decode(b"\x00\x01\x02", 0.0)
    with pytest.raises(CodecError):
        decoder.decode(b"", 0.0)
    assert decoder.decode(good[3], 0.0) is not None


def test_a_frame_that_claims_to_be_huge_is_refused() -> None:
    data = bytearray(VideoEncoder(160, 90).encode(busy_picture(160, 90, 0.0)).data)
    data[6:10] = (16383).to_bytes(2, "little") * 2  # RFC 6386, section 9.1: width and height of a key frame
    with pytest.raises(CodecError):
        VideoDecoder("VP8").decode(bytes(data), 0.0)
