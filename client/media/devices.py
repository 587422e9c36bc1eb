"""Which cameras, microphones and speakers there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum


class DeviceKind(StrEnum):
    """What a device is for."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    SPEAKER = "speaker"


@dataclass(frozen=True, slots=True)
class Device:
    """A device a person can choose. `id` goes into a spec, `name` onto the screen."""

    id: str
    name: str
    kind: DeviceKind
    is_default: bool


#: The capture format of FFmpeg per platform.
CAMERA_FORMAT = {"linux": "v4l2", "win32": "dshow", "darwin": "avfoundation"}.get(sys.platform, "v4l2")


def cameras() -> list[Device]:
    """All cameras; the first one is the default. Asks the system: up to a second on some platforms."""
    import av
    import av.error

    try:
        found = av.enumerate_input_devices(CAMERA_FORMAT)
    except (av.error.FFmpegError, ValueError, OSError):
        return []
    with_picture = [info for info in found if not info.media_types or "video" in info.media_types]
    return [
        Device(info.name, info.description or info.name, DeviceKind.CAMERA, index == 0)
        for index, info in enumerate(with_picture)
    ]


def microphones() -> list[Device]:
    """All microphones; empty where there is no sound system."""
    from client.media import sound_devices

    return [
        Device(device.id, device.name, DeviceKind.MICROPHONE, device.is_default)
        for device in sound_devices.list_devices("in")
    ]


def speakers() -> list[Device]:
    """All speakers; empty where there is no sound system."""
    from client.media import sound_devices

    return [
        Device(device.id, device.name, DeviceKind.SPEAKER, device.is_default)
        for device in sound_devices.list_devices("out")
    ]


def all_devices() -> list[Device]:
    """Cameras, microphones and speakers, in this order."""
    return [*cameras(), *microphones(), *speakers()]
