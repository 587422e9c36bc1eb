"""The one place that touches the sound hardware, through miniaudio (WASAPI, Core Audio, PulseAudio, ALSA).

miniaudio calls back from a thread of its own every 10 ms; it needs no event loop and no library of the system
but the sound server's client (loaded when it is there). Why miniaudio: docs/decisions/0020-sound-devices.md.
"""

from __future__ import annotations

import ctypes
import glob
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import miniaudio
import numpy as np

from client.media.sound import SAMPLE_RATE, Samples

Direction = Literal["in", "out"]
#: Length of one callback in ms. Raising it makes sound later, lowering it makes it crackle on a busy machine.
PERIOD_MS = 10
#: Callbacks the device keeps in hand; 4 x 10 ms bridge a stall of the interpreter. Same trade-off.
PERIODS = 4
_APPLICATION = "Hearth"


class SoundDeviceError(Exception):
    """The device cannot be opened; the text is for the log, not for people."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A device as the system names it. `id` is stable as long as the device stays plugged in."""

    id: str
    name: str
    is_default: bool


def list_devices(direction: Direction) -> list[SoundDevice]:
    """All microphones or speakers, without the monitors of speakers. Empty where there is no sound system."""
    return [found.device for found in _enumerate(direction)]


class CaptureStream:
    """A running microphone: `on_samples` gets int16 mono at 48 kHz, in the device's thread."""

    def __init__(self, device_id: str, on_samples: Callable[[Samples], None]) -> None:
        self._device = _open("in", device_id)
        callback = _capture(on_samples)
        next(callback)
        _start(self._device, callback)

    def close(self) -> None:
        """Stop; no callback comes after this. May be called twice."""
        _close(self._device)


class PlaybackStream:
    """A running speaker: `pull(n)` must give n int16 mono samples at 48 kHz without waiting for anything."""

    def __init__(self, device_id: str, pull: Callable[[int], Samples]) -> None:
        self._device = _open("out", device_id)
        callback = _playback(pull)
        next(callback)
        _start(self._device, callback)

    def close(self) -> None:
        """Stop; `pull` is not called after this. May be called twice."""
        _close(self._device)


def _capture(on_samples: Callable[[Samples], None]) -> Generator[None, bytearray, None]:
    while True:
        data = yield
        on_samples(np.frombuffer(data, np.int16))


def _playback(pull: Callable[[int], Samples]) -> Generator[bytes, int, None]:
    wanted = yield b""
    while True:
        wanted = yield pull(wanted).tobytes()


@dataclass(frozen=True, slots=True)
class _Found:
    """A device and what miniaudio opens it by."""

    device: SoundDevice
    native: Any
    backend: miniaudio.Backend


def _backends() -> list[miniaudio.Backend]:
    """The sound systems to try, in order."""
    backend = miniaudio.Backend
    if sys.platform == "win32":
        return [backend.WASAPI]
    if sys.platform == "darwin":
        return [backend.COREAUDIO]
    if sys.platform == "linux":
        # PipeWire speaks PulseAudio's language too. ALSA without a card has nothing but plugins to offer.
        return [backend.PULSEAUDIO, *([backend.ALSA] if glob.glob("/dev/snd/pcm*") else [])]
    return [backend.SNDIO, backend.AUDIO4, backend.OSS]


def _enumerate(direction: Direction) -> list[_Found]:
    """The devices of the first sound system that answers."""
    for backend in _backends():
        if backend is miniaudio.Backend.ALSA:
            hush_alsa()
        found = _ask(backend, direction)
        if found is not None:
            return found
    return []


def _ask(backend: miniaudio.Backend, direction: Direction) -> list[_Found] | None:
    """The devices of one sound system; None if it does not run."""
    ffi, lib = miniaudio.ffi, miniaudio.lib
    context = ffi.new("ma_context *")
    if lib.ma_context_init(ffi.new("ma_backend[]", [backend.value]), 1, ffi.NULL, context) != lib.MA_SUCCESS:
        return None
    try:
        infos, count = ffi.new("ma_device_info **"), ffi.new("ma_uint32 *")
        nothing = (ffi.NULL, ffi.NULL)
        places = (*nothing, infos, count) if direction == "in" else (infos, count, *nothing)
        if lib.ma_context_get_devices(context, *places) != lib.MA_SUCCESS:
            return None
        found = [_found(infos[0][index], backend) for index in range(count[0])]
        return [entry for entry in found if entry is not None]
    finally:
        lib.ma_context_uninit(context)


def _found(info: Any, backend: miniaudio.Backend) -> _Found | None:
    ffi = miniaudio.ffi
    raw = bytes(ffi.buffer(ffi.addressof(info.id))).rstrip(b"\0")
    if backend is miniaudio.Backend.PULSEAUDIO and raw.endswith(b".monitor"):
        return None  # what a speaker plays is not a microphone
    if backend is miniaudio.Backend.ALSA and not raw.startswith((b":", b"hw:", b"default", b"sysdefault")):
        return None  # a plugin, not a device
    name = ffi.string(info.name).decode("utf-8", "replace")
    device = SoundDevice(raw.hex(), name, bool(info.isDefault))
    return _Found(device, ffi.new("ma_device_id *", info.id), backend)


def _open(direction: Direction, device_id: str) -> Any:
    found = _enumerate(direction)
    if not found:
        raise SoundDeviceError("there is no device")
    chosen = next((entry for entry in found if entry.device.id == device_id), None)
    if device_id and chosen is None:
        raise SoundDeviceError("the device is not there")
    settings: dict[str, Any] = {
        "nchannels": 1,
        "sample_rate": SAMPLE_RATE,
        "buffersize_msec": PERIOD_MS,
        "callback_periods": PERIODS,
        "device_id": chosen.native if chosen else None,
        "backends": [found[0].backend],
        "app_name": _APPLICATION,
    }
    try:
        if direction == "in":
            return miniaudio.CaptureDevice(miniaudio.SampleFormat.SIGNED16, **settings)
        return miniaudio.PlaybackDevice(miniaudio.SampleFormat.SIGNED16, **settings)
    except miniaudio.MiniaudioError as error:
        raise SoundDeviceError(str(error)) from error


@lru_cache(maxsize=1)
def hush_alsa() -> bool:
    """Keep ALSA's library from writing to the terminal whenever it meets a device it cannot open."""
    try:
        library = ctypes.CDLL("libasound.so.2")
        library.snd_lib_error_set_handler(_say_nothing)
    except (OSError, AttributeError):
        return False
    return True


_ERROR_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


@_ERROR_HANDLER
def _say_nothing(file: bytes, line: int, function: bytes, code: int, text: bytes) -> None:
    """ALSA's errors come back as results anyhow."""


def _start(device: Any, callback: Generator[Any, Any, None]) -> None:
    try:
        device.start(callback)
    except miniaudio.MiniaudioError as error:
        _close(device)
        raise SoundDeviceError(str(error)) from error


def _close(device: Any) -> None:
    with suppress(miniaudio.MiniaudioError):
        device.close()
    # miniaudio's wrapper leaves its connection to the sound server open.
    context, device._context = device._context, None
    if context is not None:
        miniaudio.lib.ma_context_uninit(context)
