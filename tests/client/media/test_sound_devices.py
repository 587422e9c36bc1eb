"""Real devices: a tone through a real sound server, from our speaker into our microphone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from client.media import devices
from client.media.devices import DeviceKind
from client.media.playback import NullSpeaker, SpeakerSpec, open_speaker
from client.media.sound import FRAME_SAMPLES, Samples, SoundFrame, level_dbov
from client.media.sources import MicrophoneSpec, Reader, SourceError, ToneSpec, open_sound
from tests.client.media.material import pitch
from tests.client.media.private_pulse import PrivatePulse, available

needs_pulse = pytest.mark.skipif(not available(), reason="the program pulseaudio is not installed")


@pytest.fixture
def pulse(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivatePulse]:
    server = PrivatePulse()
    try:
        server.wait()
        monkeypatch.setenv("PULSE_SERVER", server.server)
        yield server
    finally:
        server.close()


@pytest.fixture
def no_sound_system(monkeypatch: pytest.MonkeyPatch) -> None:
    from client.media import sound_devices

    monkeypatch.setattr(sound_devices, "_enumerate", lambda direction: [])


class ToneSource:
    """What the speaker pulls."""

    def __init__(self) -> None:
        self._reader = open_sound(ToneSpec(440.0, -12.0))
        self._rest: Samples = np.zeros(0, np.int16)
        self.pulled = 0

    def __call__(self, count: int) -> Samples:
        self.pulled += count
        while self._rest.size < count:
            frame = self._reader.read(0.0)
            assert frame is not None
            self._rest = np.concatenate((self._rest, frame.samples))
        samples, self._rest = self._rest[:count], self._rest[count:]
        return samples


def listen(microphone: Reader[SoundFrame], frames: int, seconds: float) -> list[SoundFrame]:
    """So many frames in a row that are not silence, or what came in `seconds`."""
    heard: list[SoundFrame] = []
    deadline = time.monotonic() + seconds
    while len(heard) < frames and time.monotonic() < deadline:
        frame = microphone.read(time.monotonic())
        if frame is None:
            continue
        if level_dbov(frame.samples) < 40:
            heard.append(frame)
        else:
            heard.clear()
    return heard


@needs_pulse
def test_the_tone_we_play_is_the_tone_we_hear(pulse: PrivatePulse) -> None:
    (speaker_device,) = devices.speakers()
    (ear,) = devices.microphones()
    assert (speaker_device.name, speaker_device.kind) == ("Hall", DeviceKind.SPEAKER)
    assert (ear.name, ear.kind, ear.is_default) == ("Ear", DeviceKind.MICROPHONE, True)
    tone = ToneSource()
    speaker = open_speaker(SpeakerSpec(device_id=speaker_device.id), tone)
    try:
        assert speaker.name == "Hall"
        microphone = open_sound(MicrophoneSpec(ear.id))
        try:
            assert microphone.name == "Ear"
            heard = listen(microphone, 60, 15.0)
        finally:
            microphone.close()
    finally:
        speaker.close()
    assert len(heard) == 60
    assert {frame.samples.size for frame in heard} == {FRAME_SAMPLES}
    steps = np.diff([frame.captured_at for frame in heard])
    assert float(np.median(steps)) == pytest.approx(0.01, abs=0.002)
    # A stall of the machine may tear one hole into the sound; the median stretch of 200 ms is whole.
    stretches = [np.concatenate([f.samples for f in heard[at : at + 20]]) for at in (0, 20, 40)]
    assert sorted(pitch(stretch) for stretch in stretches)[1] == pytest.approx(440.0, abs=2.0)
    assert abs(level_dbov(np.concatenate([frame.samples for frame in heard])) - 12) <= 2
    pulled = tone.pulled
    speaker.close()
    microphone.close()
    assert tone.pulled == pulled


@needs_pulse
def test_a_device_that_is_not_there_is_a_sentence(pulse: PrivatePulse) -> None:
    with pytest.raises(SourceError, match="not connected"):
        open_sound(MicrophoneSpec("ffff"))


@needs_pulse
def test_devices_can_be_opened_again_and_again(pulse: PrivatePulse) -> None:
    for _ in range(20):
        open_sound(MicrophoneSpec()).close()
        open_speaker(SpeakerSpec(), lambda count: np.zeros(count, np.int16)).close()
    assert len(devices.microphones()) == 1


@needs_pulse
def test_a_sound_server_that_dies_hurts_nobody(pulse: PrivatePulse) -> None:
    speaker = open_speaker(SpeakerSpec(), lambda count: np.zeros(count, np.int16))
    microphone = open_sound(MicrophoneSpec())
    pulse.kill()
    for _ in range(3):
        microphone.read(time.monotonic())
    begun = time.monotonic()
    microphone.close()
    speaker.close()
    assert time.monotonic() - begun < 2.0
    with pytest.raises(SourceError, match="No microphone was found"):
        open_sound(MicrophoneSpec())


def test_without_a_microphone_a_person_is_told(no_sound_system: None) -> None:
    assert devices.microphones() == devices.speakers() == []
    with pytest.raises(SourceError, match="No microphone was found"):
        open_sound(MicrophoneSpec())


def test_without_a_speaker_the_clock_pulls(no_sound_system: None) -> None:
    said: list[str] = []
    pulled = threading.Semaphore(0)

    def pull(count: int) -> Samples:
        assert count == FRAME_SAMPLES
        pulled.release()
        return np.zeros(count, np.int16)

    speaker = open_speaker(SpeakerSpec(), pull, said.append)
    assert isinstance(speaker, NullSpeaker)
    assert len(said) == 1
    assert said[0].endswith(".")
    for _ in range(5):
        assert pulled.acquire(timeout=5.0)
    speaker.close()
    speaker.close()


def test_the_null_speaker_keeps_the_pace_of_the_clock() -> None:
    times: list[float] = []
    enough = threading.Event()

    def pull(count: int) -> Samples:
        times.append(time.monotonic())
        if len(times) == 60:
            enough.set()
        return np.zeros(count, np.int16)

    speaker = open_speaker(SpeakerSpec("null"), pull)
    assert enough.wait(10.0)
    speaker.close()
    assert (times[59] - times[9]) / 50 == pytest.approx(0.01, rel=0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux")
def test_alsa_without_a_card_offers_nothing_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    import miniaudio

    from client.media import sound_devices

    if not sound_devices.hush_alsa():
        pytest.skip("libasound is not installed")
    for direction in ("in", "out"):
        found = sound_devices._ask(miniaudio.Backend.ALSA, direction)
        assert all("Converter" not in entry.device.name for entry in found or [])
    assert capfd.readouterr().err == ""
