"""Camera and sound as a command line names them, and the lists of what is plugged in."""

from __future__ import annotations

from collections.abc import Sequence

from client.bridge.devices import Choice
from client.media import devices
from client.media.sources import (
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

CAMERA_HELP = "none, test:IDENTITY, file:PATH, or a camera's id"
SOUND_HELP = "none, silence, tone:HERTZ, file:PATH, or a microphone's id"


class ChoiceError(ValueError):
    """A command line names no such source; str() is a sentence."""


def camera_from(text: str) -> VideoSourceSpec | None:
    """The video source that `text` names; raises ChoiceError."""
    kind, _, rest = text.partition(":")
    match kind:
        case "none":
            return None
        case "test":
            return TestPictureSpec(identity=_number(rest or "0", 65535, text))
        case "file":
            # "file:PATH" or "file:IDENTITY:PATH", which marks the picture.
            identity, _, path = rest.partition(":")
            if path and identity.isdigit():
                return FileVideoSpec(path, mark=_number(identity, 65535, text))
            return FileVideoSpec(rest)
    return CameraSpec(text)


def sound_from(text: str) -> SoundSourceSpec | None:
    """The sound source that `text` names; raises ChoiceError."""
    kind, _, rest = text.partition(":")
    match kind:
        case "none":
            return None
        case "silence":
            return SilenceSpec()
        case "tone":
            return ToneSpec(frequency=float(_number(rest or "440", 20000, text)))
        case "file":
            return FileSoundSpec(rest)
    return MicrophoneSpec(text)


def _number(text: str, most: int, whole: str) -> int:
    if not text.isdigit() or int(text) > most:
        raise ChoiceError(f"“{whole}” needs a number from 0 to {most}.")
    return int(text)


class PluggedIn:
    """Lists devices for the pickers. What the command line asked for stands first."""

    def __init__(self, camera: str | None = None, sound: str | None = None) -> None:
        self._camera = camera
        self._sound = sound
        # Raises now rather than in a worker thread.
        self._camera_spec = camera_from(camera) if camera is not None else None
        self._sound_spec = sound_from(sound) if sound is not None else None

    def __call__(self) -> tuple[Sequence[Choice], Sequence[Choice]]:
        """Cameras and microphones; may take a second."""
        return self._cameras(), self._microphones()

    def _cameras(self) -> list[Choice]:
        if self._camera is not None:
            return [Choice(self._camera, _title(self._camera, "No camera"), self._camera_spec)]
        return [Choice(found.id, found.name, CameraSpec(found.id)) for found in devices.cameras()]

    def _microphones(self) -> list[Choice]:
        if self._sound is not None:
            return [Choice(self._sound, _title(self._sound, "No microphone"), self._sound_spec)]
        found = sorted(devices.microphones(), key=lambda device: not device.is_default)
        return [Choice(device.id, device.name, MicrophoneSpec(device.id)) for device in found]


def _title(text: str, nothing: str) -> str:
    kind, _, rest = text.partition(":")
    words = {
        "none": nothing,
        "test": f"Test picture {rest or 0}",
        "tone": f"Tone of {rest or 440} Hz",
        "silence": "Silence",
        "file": "File " + rest.replace("\\", "/").rsplit("/", 1)[-1],
    }
    return words.get(kind, text)
