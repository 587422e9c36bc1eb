"""Where pictures and sound come from. Each source is read from one thread; opening may raise SourceError."""

from __future__ import annotations

from client.media.picture import Picture
from client.media.sound import SoundFrame
from client.media.sources.errors import SourceError
from client.media.sources.reader import Reader
from client.media.sources.specs import (
    CameraSpec,
    FileSoundSpec,
    FileVideoSpec,
    MicrophoneSpec,
    SilenceSpec,
    SoundSourceSpec,
    TestPictureSpec,
    ToneSpec,
    VideoSourceSpec,
)
from client.media.sources.thread import SourceThread

__all__ = [
    "CameraSpec",
    "FileSoundSpec",
    "FileVideoSpec",
    "MicrophoneSpec",
    "Reader",
    "SilenceSpec",
    "SoundSourceSpec",
    "SourceError",
    "SourceThread",
    "TestPictureSpec",
    "ToneSpec",
    "VideoSourceSpec",
    "open_sound",
    "open_video",
]


def open_video(spec: VideoSourceSpec) -> Reader[Picture]:
    """Open what `spec` describes. Raises SourceError. Modules are loaded when they are needed first."""
    if isinstance(spec, CameraSpec):
        from client.media.sources.camera import CameraReader

        return CameraReader(spec)
    if isinstance(spec, FileVideoSpec):
        from client.media.sources.file_video import FileVideoReader

        return FileVideoReader(spec)
    from client.media.sources.test_picture import TestPictureReader

    return TestPictureReader(spec)


def open_sound(spec: SoundSourceSpec) -> Reader[SoundFrame]:
    """Open what `spec` describes. Raises SourceError. Modules are loaded when they are needed first."""
    if isinstance(spec, MicrophoneSpec):
        from client.media.sources.microphone import MicrophoneReader

        return MicrophoneReader(spec)
    if isinstance(spec, FileSoundSpec):
        from client.media.sources.file_sound import FileSoundReader

        return FileSoundReader(spec)
    from client.media.sources.tone import SilenceReader, ToneReader

    return ToneReader(spec) if isinstance(spec, ToneSpec) else SilenceReader()
