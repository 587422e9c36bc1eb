"""Sources as words on a command line: `test:7`, `tone:440`, `file:7:talk.mp4`. Loads no Qt."""

from __future__ import annotations

import re
from pathlib import Path

from client.media.sources import (
    FileSoundSpec,
    FileVideoSpec,
    SilenceSpec,
    SoundSourceSpec,
    TestPictureSpec,
    ToneSpec,
    VideoSourceSpec,
)

#: How to write them, for the help of a program.
VIDEO_HELP = "FILE, file:ID:FILE (with mark ID painted in), test:ID or none"
SOUND_HELP = "FILE, tone:HZ, silence or none"

_FILE = re.compile(r"file:((?P<identity>\d{1,5}):)?(?P<path>.+)")
_TEST = re.compile(r"test:(?P<identity>\d{1,5})")
_TONE = re.compile(r"tone:(?P<frequency>\d+(\.\d+)?)")
_SIZE = re.compile(r"(?P<width>\d{2,4})x(?P<height>\d{2,4})")


def video_source(text: str, width: int = 640, height: int = 360, fps: float = 30.0) -> VideoSourceSpec | None:
    """The picture source that `text` names; ValueError with a sentence if it names none."""
    if text == "none":
        return None
    if match := _TEST.fullmatch(text):
        return TestPictureSpec(_identity(match["identity"]), width, height, fps)
    path, identity = text, None
    if match := _FILE.fullmatch(text):
        path = match["path"]
        identity = _identity(match["identity"]) if match["identity"] else None
    if not Path(path).is_file():
        raise ValueError(f"There is no video file {path}. Give {VIDEO_HELP}.")
    return FileVideoSpec(path, width, height, fps, identity)


def sound_source(text: str) -> SoundSourceSpec | None:
    """The sound source that `text` names; ValueError with a sentence if it names none."""
    if text == "none":
        return None
    if text == "silence":
        return SilenceSpec()
    if match := _TONE.fullmatch(text):
        return ToneSpec(float(match["frequency"]))
    path = text.removeprefix("file:")
    if not Path(path).is_file():
        raise ValueError(f"There is no sound file {path}. Give {SOUND_HELP}.")
    return FileSoundSpec(path)


def size(text: str) -> tuple[int, int]:
    """Width and height of "640x360"; ValueError with a sentence for another form or odd numbers."""
    match = _SIZE.fullmatch(text)
    if match is None or int(match["width"]) % 2 or int(match["height"]) % 2:
        raise ValueError(f"{text} is no picture size. Write it like 640x360, with even numbers.")
    return int(match["width"]), int(match["height"])


def _identity(digits: str) -> int:
    if int(digits) > 0xFFFF:
        raise ValueError(f"{digits} is no mark: marks go from 0 to 65535.")
    return int(digits)
