"""Where the mixed sound goes: a device, or a clock where there is none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from client.media.pacing import Pacer
from client.media.sound import FRAME_SAMPLES, FRAME_SECONDS, Samples

log = logging.getLogger(__name__)

PullSound = Callable[[int], Samples]


@dataclass(frozen=True, slots=True)
class SpeakerSpec:
    """A speaker by the id `devices.speakers()` gave ("": the system's default), or "null" for none at all."""

    kind: Literal["device", "null"] = "device"
    device_id: str = ""


class Speaker(Protocol):
    """Something that pulls 10 ms frames from when it is opened until it is closed."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def close(self) -> None:
        """Stop pulling, within half a second. May be called twice."""
        ...


class NullSpeaker:
    """Pulls at the pace of the clock and throws the sound away, so that levels, taps and buffers go on."""

    def __init__(self, pull: PullSound) -> None:
        self.name = "No speaker"
        self._pull = pull
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="null speaker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the clock."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self) -> None:
        pacer = Pacer(FRAME_SECONDS)
        while True:
            delay = pacer.delay(time.monotonic())
            if self._stopping.wait(delay) if delay > 0.0 else self._stopping.is_set():
                return
            pacer.advance()
            try:
                self._pull(FRAME_SAMPLES)
            except Exception:
                log.exception("the mixer failed")


class DeviceSpeaker:
    """A loudspeaker; its own thread pulls when it needs sound."""

    def __init__(self, spec: SpeakerSpec, pull: PullSound) -> None:
        from client.media import sound_devices

        found = sound_devices.list_devices("out")
        chosen = next((device for device in found if device.id == spec.device_id), None)
        chosen = chosen or next((device for device in found if device.is_default), None)
        self.name = chosen.name if chosen else "Speaker"
        # A speaker that was unplugged since it was chosen gives way to the default one.
        device_id = spec.device_id if chosen and chosen.id == spec.device_id else ""
        self._stream = sound_devices.PlaybackStream(device_id, pull)

    def close(self) -> None:
        """Let the device go."""
        self._stream.close()


def open_speaker(
    spec: SpeakerSpec, pull: PullSound, on_failed: Callable[[str], None] | None = None
) -> Speaker:
    """Open the speaker; where there is none the sound goes nowhere and `on_failed` gets a sentence."""
    if spec.kind == "null":
        return NullSpeaker(pull)
    from client.media.sound_devices import SoundDeviceError

    try:
        return DeviceSpeaker(spec, pull)
    except SoundDeviceError as error:
        log.info("no speaker: %s", error)
        if on_failed is not None:
            on_failed("No speaker can be used, so you hear nothing. Connect one or choose another one.")
        return NullSpeaker(pull)
