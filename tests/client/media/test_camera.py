"""The camera: what a person is told, and real frames from a device of FFmpeg that needs no hardware."""

from __future__ import annotations

import errno
import os

import av
import pytest
from av.container import InputContainer

from client.media import devices
from client.media.devices import Device, DeviceKind
from client.media.sources import CameraSpec, SourceError, open_video
from client.media.sources.camera import CameraReader


def pattern(device_id: str, options: dict[str, str]) -> InputContainer:
    """FFmpeg's own test source in place of a camera; it gives another size than was asked for."""
    return av.open("testsrc=size=640x480:rate=200", format="lavfi")


def test_pictures_have_the_asked_size_whatever_the_camera_gives() -> None:
    reader = CameraReader(CameraSpec("pattern", 320, 180, 30.0), pattern)
    pictures = [reader.read(0.0) for _ in range(5)]
    reader.close()
    assert {(picture.width, picture.height) for picture in pictures} == {(320, 180)}
    assert reader.period is None
    times = [picture.captured_at for picture in pictures]
    assert times == sorted(times)
    assert len({picture.to_i420_array().tobytes() for picture in pictures}) > 1


def test_a_camera_that_ends_is_gone() -> None:
    def short(device_id: str, options: dict[str, str]) -> InputContainer:
        return av.open("testsrc=size=64x64:rate=30:duration=0.1", format="lavfi")

    reader = CameraReader(CameraSpec("Desk camera", 64, 64), short)
    for _ in range(3):
        reader.read(0.0)
    with pytest.raises(SourceError, match="Desk camera is not connected any more"):
        reader.read(0.0)
    reader.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENODEV, "not connected"),
        (errno.ENOENT, "not connected"),
        (errno.EBUSY, "used by another program"),
        (errno.EACCES, "may not use the camera"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_each_failure_has_its_sentence(code: int, words: str) -> None:
    def refuse(device_id: str, options: dict[str, str]) -> InputContainer:
        raise OSError(code, os.strerror(code))

    with pytest.raises(SourceError, match=words) as caught:
        CameraReader(CameraSpec("Desk camera"), refuse)
    assert "Desk camera" in caught.value.sentence


def test_wishes_are_given_up_one_by_one() -> None:
    tried: list[dict[str, str]] = []

    def picky(device_id: str, options: dict[str, str]) -> InputContainer:
        tried.append(options)
        if "video_size" in options:
            raise OSError(errno.EINVAL, "no such size")
        return pattern(device_id, options)

    reader = CameraReader(CameraSpec("picky", 64, 64), picky)
    reader.close()
    assert len(tried) >= 2
    assert "video_size" not in tried[-1]


def test_without_a_camera_a_person_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cameras", list)
    with pytest.raises(SourceError, match="No camera was found"):
        open_video(CameraSpec())


def test_a_path_that_is_no_camera_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cameras", list)
    with pytest.raises(SourceError, match=r"not connected|cannot be opened"):
        open_video(CameraSpec("/dev/video-that-is-not-there"))


def test_the_first_camera_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        def __init__(self, name: str, description: str, media_types: list[str]) -> None:
            self.name, self.description, self.media_types = name, description, media_types

    found = [Info("mic", "Microphone", ["audio"]), Info("a", "Desk", ["video"]), Info("b", "", [])]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda name: found)
    assert devices.cameras() == [
        Device("a", "Desk", DeviceKind.CAMERA, True),
        Device("b", "b", DeviceKind.CAMERA, False),
    ]


def test_a_system_without_cameras_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> list[object]:
        raise ValueError("no such format")

    monkeypatch.setattr(av, "enumerate_input_devices", refuse)
    assert devices.cameras() == []
