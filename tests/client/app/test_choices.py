"""Sources as a command line names them."""

from __future__ import annotations

from typing import Any

import pytest

from client.app.choices import ChoiceError, PluggedIn, camera_from, sound_from
from client.media.sources import (
    CameraSpec,
    FileSoundSpec,
    FileVideoSpec,
    MicrophoneSpec,
    SilenceSpec,
    TestPictureSpec,
    ToneSpec,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("none", None),
        ("test:7", TestPictureSpec(7)),
        ("test", TestPictureSpec(0)),
        ("file:/a b/c.mp4", FileVideoSpec("/a b/c.mp4")),
        ("file:9:/a.mp4", FileVideoSpec("/a.mp4", mark=9)),
        (r"file:C:\a.mp4", FileVideoSpec(r"C:\a.mp4")),
        ("/dev/video0", CameraSpec("/dev/video0")),
    ],
)
def test_cameras(text: str, spec: Any) -> None:
    assert camera_from(text) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("none", None),
        ("silence", SilenceSpec()),
        ("tone:880", ToneSpec(880.0)),
        ("file:/a.wav", FileSoundSpec("/a.wav")),
        ("hw:0", MicrophoneSpec("hw:0")),
    ],
)
def test_sounds(text: str, spec: Any) -> None:
    assert sound_from(text) == spec


@pytest.mark.parametrize("text", ["test:x", "test:70000", "test:-1", "file:70000:/a.mp4"])
def test_a_number_out_of_range_is_a_sentence(text: str) -> None:
    with pytest.raises(ChoiceError, match="needs a number from 0 to 65535"):
        camera_from(text)
    with pytest.raises(ChoiceError):
        PluggedIn(camera=text)


def test_what_the_command_line_asked_for_stands_alone_in_the_lists() -> None:
    cameras, microphones = PluggedIn("test:3", "tone:440")()
    assert [(choice.label, choice.spec) for choice in cameras] == [("Test picture 3", TestPictureSpec(3))]
    assert [(choice.label, choice.spec) for choice in microphones] == [("Tone of 440 Hz", ToneSpec(440.0))]
