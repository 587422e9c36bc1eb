"""What goes into the studio and what comes out: small values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from client.media.picture import Picture
from client.media.sources.specs import SoundSourceSpec, VideoSourceSpec

Kind = Literal["video", "sound"]


@dataclass(frozen=True, slots=True)
class UseVideo:
    """Take pictures from here; None lets the camera go."""

    spec: VideoSourceSpec | None


@dataclass(frozen=True, slots=True)
class UseSound:
    """Take sound from here; None lets the microphone go."""

    spec: SoundSourceSpec | None


@dataclass(frozen=True, slots=True)
class EncodeVideo:
    """Compress the pictures or stop doing so; the self view goes on either way.

    Pictures of another size are scaled and cropped to `width` x `height`. `bitrate` in bits per second; None
    is the default for the size. Switching on gives a key frame.
    """

    on: bool
    width: int = 640
    height: int = 360
    fps: float = 30.0
    bitrate: int | None = None


@dataclass(frozen=True, slots=True)
class EncodeSound:
    """Compress the sound or stop at once; levels go on either way. `bitrate` in bits per second."""

    on: bool
    bitrate: int = 32_000


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """Make the next picture a key frame."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the studio (sent by `Studio.stop` itself)."""


Command = UseVideo | UseSound | EncodeVideo | EncodeSound | KeyFrame | Stop


@dataclass(frozen=True, slots=True)
class VideoEncoded:
    """One compressed picture (VP8). `captured_at`: monotonic seconds; `timestamp_90k`: RTP timestamp."""

    data: bytes
    key_frame: bool
    captured_at: float
    timestamp_90k: int


@dataclass(frozen=True, slots=True)
class SoundEncoded:
    """20 ms of sound (Opus). `timestamp_48k`: RTP timestamp; `level_dbov` 0 (loud) .. 127 (RFC 6464)."""

    data: bytes
    timestamp_48k: int
    level_dbov: int
    voice: bool


@dataclass(frozen=True, slots=True)
class SelfView:
    """The latest picture of the own camera, as it is sent. Older ones may have been left out."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class Level:
    """How loud the own sound is for the eye, 0..1, ten times a second, muted or not."""

    value: float


@dataclass(frozen=True, slots=True)
class SourceStarted:
    """A source delivers; `name` is for people."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """A source cannot be used (any more); `sentence` says what happened and what to do."""

    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class VideoReport:
    """Once a second while pictures come: counts since the source started; `dropped` came too fast to encode.

    `encode_ms` is the mean time for one picture of the last second.
    """

    captured: int
    encoded: int
    dropped: int
    encode_ms: float


@dataclass(frozen=True, slots=True)
class StudioRestarted:
    """The studio process died and a new one runs with the last wanted settings."""


StudioEvent = (
    VideoEncoded
    | SoundEncoded
    | SelfView
    | Level
    | SourceStarted
    | SourceFailed
    | VideoReport
    | StudioRestarted
)
