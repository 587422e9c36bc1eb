"""Capture and encoding in a process of its own, so that the call keeps its pace."""

from client.studio.messages import (
    EncodeSound,
    EncodeVideo,
    KeyFrame,
    Level,
    SelfView,
    SoundEncoded,
    SourceFailed,
    SourceStarted,
    StudioEvent,
    StudioRestarted,
    UseSound,
    UseVideo,
    VideoEncoded,
    VideoReport,
)
from client.studio.studio import Studio

__all__ = [
    "EncodeSound",
    "EncodeVideo",
    "KeyFrame",
    "Level",
    "SelfView",
    "SoundEncoded",
    "SourceFailed",
    "SourceStarted",
    "Studio",
    "StudioEvent",
    "StudioRestarted",
    "UseSound",
    "UseVideo",
    "VideoEncoded",
    "VideoReport",
]
