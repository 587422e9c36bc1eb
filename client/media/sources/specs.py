"""What to open: small descriptions that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera by the id `devices.cameras()` gave ("" is the first one). Size and rate are wishes."""

    device_id: str = ""
    width: int = 640
    height: int = 360
    fps: float = 30.0


@dataclass(frozen=True, slots=True)
class FileVideoSpec:
    """A video file played for ever at the asked size (filled, aspect kept), `mark`ed with that identity."""

    path: str
    width: int = 640
    height: int = 360
    fps: float = 30.0
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class TestPictureSpec:
    """A moving pattern with a mark that says `identity` (0..65535)."""

    __test__ = False  # not a test class, whatever its name suggests

    identity: int = 0
    width: int = 640
    height: int = 360
    fps: float = 30.0


@dataclass(frozen=True, slots=True)
class MicrophoneSpec:
    """A microphone by the id `devices.microphones()` gave ("" is the system's default)."""

    device_id: str = ""


@dataclass(frozen=True, slots=True)
class FileSoundSpec:
    """A sound file played for ever, `gain` as a factor (1.0 leaves it as it is)."""

    path: str
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class ToneSpec:
    """A sine of `frequency` Hz with a root mean square of `level_dbfs` dBFS (0 is a full-scale square)."""

    frequency: float = 440.0
    level_dbfs: float = -20.0


@dataclass(frozen=True, slots=True)
class SilenceSpec:
    """Digital silence."""


VideoSourceSpec = CameraSpec | FileVideoSpec | TestPictureSpec
SoundSourceSpec = MicrophoneSpec | FileSoundSpec | ToneSpec | SilenceSpec
