"""A camera through FFmpeg: v4l2 on Linux, DirectShow on Windows, AVFoundation on macOS."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator

import av
import av.error
from av.container import InputContainer

from client.media import devices
from client.media.fit import fill
from client.media.picture import Picture
from client.media.sources.errors import SourceError
from client.media.sources.specs import CameraSpec

OpenCamera = Callable[[str, dict[str, str]], InputContainer]

NO_CAMERA = "No camera was found. Connect one, or go on without a picture."
GONE = "The camera {name} is not connected any more. Connect it again or choose another one."
BUSY = "The camera {name} is used by another program. Close that program or choose another camera."
FORBIDDEN = (
    "Hearth may not use the camera {name}. Allow it in the system's settings for privacy or permissions."
)
BROKEN = "The camera {name} cannot be opened. Connect it again or choose another one."


class CameraReader:
    """Reads in the pace of the camera, which decodes and scales in the thread of the reader."""

    def __init__(self, spec: CameraSpec, open_camera: OpenCamera | None = None) -> None:
        self.period: float | None = None
        self._spec = spec
        device_id, self.name = (spec.device_id, spec.device_id) if open_camera else _choose(spec.device_id)
        self._container = self._open(open_camera or _open_platform, device_id)
        self._frames: Iterator[av.VideoFrame] = self._decode()

    def read(self, now: float) -> Picture:
        """The next picture of the camera, in the size of the spec. Waits for the camera."""
        try:
            frame = next(self._frames)
        except StopIteration:
            raise SourceError(GONE.format(name=self.name)) from None
        except (av.error.FFmpegError, OSError):
            raise SourceError(GONE.format(name=self.name)) from None
        captured_at = time.monotonic()
        return Picture.from_av(fill(frame, self._spec.width, self._spec.height), captured_at)

    def close(self) -> None:
        """Let the camera go."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        stream = self._container.streams.video[0]
        stream.thread_count = 1
        for packet in self._container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # cameras send a broken JPEG now and then
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield frame

    def _open(self, open_camera: OpenCamera, device_id: str) -> InputContainer:
        """Try the wished size, packed first, then whatever the camera likes."""
        failure: Exception | None = None
        for options in _wishes(self._spec):
            try:
                return open_camera(device_id, options)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                failure = error
                if _code(error) in (errno.ENOENT, errno.ENODEV, errno.EACCES, errno.EPERM, errno.EBUSY):
                    break
        raise SourceError(_sentence(failure, self.name)) from failure


def _choose(device_id: str) -> tuple[str, str]:
    """The id to open and its name for people."""
    found = devices.cameras()
    if not found and not device_id:
        raise SourceError(NO_CAMERA)
    for device in found:
        if device.id == device_id or not device_id:
            return device.id, device.name
    # Not in the list, yet perhaps a path that somebody typed.
    return device_id, device_id


def _wishes(spec: CameraSpec) -> list[dict[str, str]]:
    size = {"video_size": f"{spec.width}x{spec.height}", "framerate": f"{spec.fps:g}"}
    if sys.platform == "linux":
        return [{**size, "input_format": "mjpeg"}, size, {}]
    if sys.platform == "win32":
        return [{**size, "rtbufsize": "16M"}, {"rtbufsize": "16M"}]
    return [{**size, "pixel_format": "nv12"}, {"framerate": f"{spec.fps:g}"}, {}]


def _open_platform(device_id: str, options: dict[str, str]) -> InputContainer:
    location = device_id
    if sys.platform == "win32":
        location = device_id if device_id.startswith("video=") else f"video={device_id}"
    elif sys.platform == "darwin":
        location = device_id if ":" in device_id else f"{device_id}:none"
    return av.open(location, format=devices.CAMERA_FORMAT, options={**options, "fflags": "nobuffer"})


def _code(error: Exception | None) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _sentence(error: Exception | None, name: str) -> str:
    code = _code(error)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return GONE.format(name=name) if name else NO_CAMERA
    if code == errno.EBUSY:
        return BUSY.format(name=name)
    if code in (errno.EACCES, errno.EPERM):
        return FORBIDDEN.format(name=name)
    return BROKEN.format(name=name)
