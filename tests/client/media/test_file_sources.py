"""Files as camera and microphone: size, pace, loop, marks, and sentences when they cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from client.media import mark
from client.media.sound import FRAME_SAMPLES
from client.media.sources import FileSoundSpec, FileVideoSpec, SourceError, file_video, open_sound, open_video
from tests.client.media.material import pitch, sine, write_film, write_sound


def luma(picture: object) -> int:
    return int(np.median(picture.planes[0][:100]))  # type: ignore[attr-defined]


def test_a_film_is_scaled_marked_and_looped(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 160, 120, frames=30)
    reader = open_video(FileVideoSpec(str(film), 320, 180, 30.0, mark=9))
    assert reader.period == pytest.approx(1 / 30)
    assert reader.name == "film.mp4"
    shades = []
    for number in range(75):
        picture = reader.read(50.0 + number / 30.0)
        assert picture is not None
        assert (picture.width, picture.height) == (320, 180)
        read = mark.read(picture)
        assert read is not None
        assert read.identity == 9
        assert read.time == pytest.approx(50.0 + number / 30.0, abs=0.0002)
        shades.append(luma(picture))
    reader.close()
    assert abs(shades[0] - 40) <= 3
    assert abs(shades[29] - 156) <= 3
    assert abs(shades[30] - 40) <= 7, "the film starts again after its last picture"
    assert abs(shades[74] - shades[14]) <= 7


def test_a_film_keeps_its_own_speed(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 64, 48, frames=30, fps=15)
    reader = open_video(FileVideoSpec(str(film), 64, 48, 30.0))
    shades = [luma(reader.read(0.0)) for _ in range(60)]
    reader.close()
    assert abs(shades[30] - (40 + 4 * 15)) <= 5, "half of the film after one of two seconds"


def test_pictures_handed_out_do_not_change_later(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 320, 180, frames=5, fps=5)
    reader = open_video(FileVideoSpec(str(film), 320, 180, 30.0, mark=1))
    first = reader.read(1.0)
    assert first is not None
    before = first.to_i420_array()
    for number in range(30):
        reader.read(2.0 + number)
    reader.close()
    assert np.array_equal(first.to_i420_array(), before)


def test_a_film_of_one_picture_stands_still(tmp_path: Path) -> None:
    film = write_film(tmp_path / "still.mp4", 64, 48, frames=1)
    reader = open_video(FileVideoSpec(str(film), 64, 48, 30.0))
    assert {luma(reader.read(0.0)) for _ in range(10)} <= set(range(37, 44))
    reader.close()


def test_sound_is_looped_without_a_seam(tmp_path: Path) -> None:
    # 1 s of 400 Hz is a whole number of periods, but not of 10 ms frames at 44.1 kHz.
    file = write_sound(tmp_path / "voice.wav", sine(400.0, 1.0, rate=44_100), rate=44_100)
    reader = open_sound(FileSoundSpec(str(file)))
    frames = [reader.read(0.0) for _ in range(250)]
    reader.close()
    assert all(frame is not None and frame.samples.size == FRAME_SAMPLES for frame in frames)
    samples = np.concatenate([frame.samples for frame in frames if frame is not None])
    assert pitch(samples) == pytest.approx(400.0, abs=1.0)
    assert int(np.abs(np.diff(samples.astype(int))).max()) < 900, "no click at the seam"


def test_stereo_is_mixed_down_and_gain_applied(tmp_path: Path) -> None:
    left = sine(440.0, 0.5)
    both = np.stack([left, left], axis=1).reshape(-1)
    file = write_sound(tmp_path / "stereo.wav", both, channels=2)
    reader = open_sound(FileSoundSpec(str(file), gain=0.5))
    samples = np.concatenate([reader.read(0.0).samples for _ in range(40)])  # type: ignore[union-attr]
    reader.close()
    assert int(np.abs(samples).max()) == pytest.approx(4000, rel=0.05)


def test_too_much_gain_saturates(tmp_path: Path) -> None:
    file = write_sound(tmp_path / "loud.wav", sine(440.0, 0.1, 20000.0))
    reader = open_sound(FileSoundSpec(str(file), gain=10.0))
    samples = np.concatenate([reader.read(0.0).samples for _ in range(20)])  # type: ignore[union-attr]
    reader.close()
    assert samples.max() == 32767
    assert samples.min() == -32768


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not there"), (b"", "Choose another file"), (b"not a film" * 100, "Choose another file")],
)
def test_a_file_that_cannot_be_used_is_a_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "broken.bin"
    if content is not None:
        path.write_bytes(content)
    for attempt in (
        lambda: open_video(FileVideoSpec(str(path))),
        lambda: open_sound(FileSoundSpec(str(path))),
    ):
        with pytest.raises(SourceError, match=words) as caught:
            attempt()
        assert caught.value.sentence.endswith(".")
        assert "broken.bin" in caught.value.sentence


def test_the_wrong_sort_of_file_is_a_sentence(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 64, 48, frames=2)
    sound = write_sound(tmp_path / "sound.wav", sine(440.0, 0.1))
    with pytest.raises(SourceError, match="no picture in it"):
        open_video(FileVideoSpec(str(sound)))
    with pytest.raises(SourceError, match="no sound in it"):
        open_sound(FileSoundSpec(str(film)))


def test_a_film_that_is_cut_off_is_looped_or_refused(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mp4", 320, 240, frames=30)
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    for size in range(0, len(data), max(1, len(data) // 12)):
        cut.write_bytes(data[:size])
        try:
            reader = open_video(FileVideoSpec(str(cut), 64, 48, 30.0))
        except SourceError:
            continue
        try:
            for _ in range(60):
                assert reader.read(0.0) is not None
        except SourceError:
            pass
        finally:
            reader.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_a_sentence(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "secret.wav", sine(440.0, 0.1))
    path.chmod(0)
    with pytest.raises(SourceError, match="may not be read"):
        open_sound(FileSoundSpec(str(path)))


def test_a_short_film_is_decoded_once_and_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = str(write_film(tmp_path / "film.mp4", 160, 120, frames=10, fps=25))

    def three_rounds() -> list[bytes]:
        reader = open_video(FileVideoSpec(film, 320, 180, 30.0, mark=9))
        first = [reader.read(0.0) for _ in range(14)]  # a round and a little more
        if file_video.KEPT_BYTES:
            reader.close()  # nothing more is read from the file
        pictures = first + [reader.read(0.0) for _ in range(22)]
        reader.close()
        return [picture.to_i420_array().tobytes() for picture in pictures if picture is not None]

    kept = three_rounds()
    monkeypatch.setattr(file_video, "KEPT_BYTES", 0)
    assert three_rounds() == kept
    assert len(set(kept)) == 10
