"""A microphone as a source of 10 ms frames."""

from __future__ import annotations

import queue
import time

import numpy as np

from client.media.sound import FRAME_SAMPLES, SAMPLE_RATE, Samples, SoundFrame
from client.media.sources.errors import SourceError
from client.media.sources.specs import MicrophoneSpec

#: Chunks of 10 ms that may wait; beyond this the reader is stuck and the oldest sound is worth nothing.
_QUEUE_CHUNKS = 100
#: Seconds without sound after which the microphone counts as gone.
_SILENT_LIMIT = 5.0


class MicrophoneReader:
    """Takes what the device's thread brings and cuts it into frames in order."""

    def __init__(self, spec: MicrophoneSpec) -> None:
        from client.media import sound_devices

        self.period: float | None = None
        self._queue: queue.Queue[tuple[Samples, float]] = queue.Queue(_QUEUE_CHUNKS)
        self._rest: Samples = np.zeros(0, np.int16)
        self._rest_at = 0.0
        self._heard_at = time.monotonic()
        self.lost_chunks = 0
        found = sound_devices.list_devices("in")
        if not found:
            raise SourceError("No microphone was found. Connect one, or go on without sound.")
        chosen = next((device for device in found if device.id == spec.device_id), None)
        if spec.device_id and chosen is None:
            raise SourceError("The chosen microphone is not connected. Connect it or choose another one.")
        chosen = chosen or next((device for device in found if device.is_default), found[0])
        self.name = chosen.name
        try:
            self._stream = sound_devices.CaptureStream(spec.device_id, self._heard)
        except sound_devices.SoundDeviceError:
            raise SourceError(
                f"The microphone {self.name} cannot be opened. Close the program that uses it, allow "
                "Hearth to use the microphone in the system's settings, or choose another one."
            ) from None

    def read(self, now: float) -> SoundFrame | None:
        """The next 10 ms; None after a fifth of a second without sound."""
        deadline = time.monotonic() + 0.2
        while self._rest.size < FRAME_SAMPLES:
            try:
                chunk, arrived = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                if time.monotonic() - self._heard_at > _SILENT_LIMIT:
                    raise SourceError(
                        f"The microphone {self.name} gives no sound any more. Connect it again or choose "
                        "another one."
                    ) from None
                return None
            self._heard_at = arrived
            if self._rest.size == 0:
                self._rest_at = arrived - chunk.size / SAMPLE_RATE
            self._rest = np.concatenate((self._rest, chunk))
        frame = SoundFrame(self._rest[:FRAME_SAMPLES], self._rest_at)
        self._rest = self._rest[FRAME_SAMPLES:]
        self._rest_at += FRAME_SAMPLES / SAMPLE_RATE
        return frame

    def close(self) -> None:
        """Let the microphone go."""
        self._stream.close()

    def _heard(self, samples: Samples) -> None:
        try:
            self._queue.put_nowait((samples, time.monotonic()))
        except queue.Full:
            self.lost_chunks += 1
