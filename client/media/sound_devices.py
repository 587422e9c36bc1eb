"""The one place that touches the sound hardware, through miniaudio (WASAPI, Core Audio, PulseAudio, ALSA).

miniaudio calls back from a thread of its own every 10 ms; it needs no event loop and no library of the system
but the sound server's client (loaded when it is there). Why miniaudio: docs/decisions/0020-sound-devices.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
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
    return [device for device, _ in _enumerate(direction)]


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


def _enumerate(direction: Direction) -> list[tuple[SoundDevice, Any]]:
    """Devices and the ids miniaudio opens them by."""
    ffi, lib = miniaudio.ffi, miniaudio.lib
    context = ffi.new("ma_context *")
    if lib.ma_context_init(ffi.NULL, 0, ffi.NULL, context) != lib.MA_SUCCESS:
        return []
    try:
        if context.backend == lib.ma_backend_null:
            return []
        infos, count = ffi.new("ma_device_info **"), ffi.new("ma_uint32 *")
        places = (
            (ffi.NULL, ffi.NULL, infos, count) if direction == "in" else (infos, count, ffi.NULL, ffi.NULL)
        )
        if lib.ma_context_get_devices(context, *places) != lib.MA_SUCCESS:
            return []
        return [entry for index in range(count[0]) if (entry := _entry(infos[0][index])) is not None]
    finally:
        lib.ma_context_uninit(context)


def _entry(info: Any) -> tuple[SoundDevice, Any] | None:
    ffi = miniaudio.ffi
    raw = bytes(ffi.buffer(ffi.addressof(info.id))).rstrip(b"\0")
    if raw.endswith(b".monitor"):
        return None  # what a speaker plays is not a microphone
    name = ffi.string(info.name).decode("utf-8", "replace")
    return SoundDevice(raw.hex(), name, bool(info.isDefault)), ffi.new("ma_device_id *", info.id)


def _open(direction: Direction, device_id: str) -> Any:
    found = _enumerate(direction)
    chosen = None
    if device_id:
        chosen = next((native for device, native in found if device.id == device_id), None)
        if chosen is None:
            raise SoundDeviceError("the device is not there")
    elif not found:
        raise SoundDeviceError("there is no device")
    settings: dict[str, Any] = {
        "nchannels": 1,
        "sample_rate": SAMPLE_RATE,
        "buffersize_msec": PERIOD_MS,
        "callback_periods": PERIODS,
        "device_id": chosen,
        "app_name": _APPLICATION,
    }
    try:
        if direction == "in":
            return miniaudio.CaptureDevice(miniaudio.SampleFormat.SIGNED16, **settings)
        return miniaudio.PlaybackDevice(miniaudio.SampleFormat.SIGNED16, **settings)
    except miniaudio.MiniaudioError as error:
        raise SoundDeviceError(str(error)) from error


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
