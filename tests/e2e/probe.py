"""A desktop client without a window, told what to do: `python -m tests.e2e.probe IDENTITY FREQUENCY STUDIO`.

It is the real call of the desktop program with a test picture and a tone. Commands are JSON lines on standard
input, answers JSON lines on standard output; the end of the input ends it. It looks at the very slots that
tiles are painted from and listens to the very sources that the mixer mixes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from client.call.call import Call
from client.media import mark
from client.media.playback.speaker import SpeakerSpec
from client.media.sound import SAMPLE_RATE, Samples
from client.media.sources import TestPictureSpec, ToneSpec

#: Small and slow, so that a dozen programs on two cores still meet in time; the way is the same.
SIZE, FPS = (320, 180), 10.0
Pull = Callable[[int], Samples | None]
LISTENED = 32768  # samples (0.7 s): resolves 1.5 Hz before interpolation
LOOK_S = 0.02


class Voices:
    """Keeps the last samples of each member as the mixer takes them."""

    def __init__(self, call: Call) -> None:
        self._heard: dict[str, deque[NDArray[np.float32]]] = {}
        self._set_source = call.mixer.set_source
        call.mixer.set_source = self._listen_to  # type: ignore[method-assign]

    def _listen_to(self, member_id: str, pull: Pull) -> None:
        heard = self._heard[member_id] = deque(maxlen=LISTENED // 100)

        def pull_and_keep(count: int) -> Samples | None:
            samples = pull(count)  # None while there is nothing to say
            kept = np.zeros(count, np.int16) if samples is None else samples
            heard.append(kept.astype(np.float32) / np.float32(32768))
            return samples

        self._set_source(member_id, pull_and_keep)

    def tone(self, member: str) -> tuple[float, float]:
        """Strongest frequency (Hz) and level (dBFS) of the last 0.7 s; (0, -200) without sound."""
        heard = list(self._heard.get(member, ()))
        if not heard:
            return 0.0, -200.0
        samples = np.concatenate(heard)[-LISTENED:]
        if not samples.any():
            return 0.0, -200.0
        level = 10 * np.log10(float(np.mean(samples**2)))
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * LISTENED))
        return float(np.argmax(spectrum[4:]) + 4) * SAMPLE_RATE / (4 * LISTENED), level


class Probe:
    """One member and its counts."""

    def __init__(self, identity: int, frequency: float, studio: Literal["process", "thread"]) -> None:
        self.call = Call(studio, SpeakerSpec("null"), size=SIZE, fps=FPS)
        self.voices = Voices(self.call)
        self.call.open()
        self.call.choose_video(TestPictureSpec(identity, *SIZE, FPS))
        self.call.choose_sound(ToneSpec(frequency))
        self.marks: dict[str, Counter[int]] = {}  # member -> identities seen in its tile, ever
        self.unread: Counter[str] = Counter()
        self._ended = threading.Event()
        self._looker = threading.Thread(target=self._look, name="looker")
        self._looker.start()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            for member in self.call.state.members:
                picture = None if member.is_me else self.call.pictures.slot(member.id).take()
                if picture is None:
                    continue
                seen = mark.read(picture)
                if seen is None:
                    self.unread[member.id] += 1
                else:
                    self.marks.setdefault(member.id, Counter())[seen.identity] += 1

    def report(self) -> dict[str, Any]:
        state = self.call.state
        statistics = self.call.statistics()
        members = {}
        for member in state.members:
            counted = statistics.members.get(member.id)
            members[member.id] = {
                "name": member.name,
                "me": member.is_me,
                "microphone": member.microphone,
                "camera": member.camera,
                "connected": member.connected,
                "frames": counted.frames_decoded if counted else 0,
                "audio_packets": counted.audio_packets if counted else 0,
                "first_frame_ms": counted.join_to_first_frame_ms if counted else None,
                "marks": dict(self.marks.get(member.id, {})),
                "unread": self.unread[member.id],
                "tone": self.voices.tone(member.id),
            }
        problem = state.problem.sentence if state.problem is not None else ""
        return {"phase": str(state.phase), "words": state.words, "problem": problem, "members": members}

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "join":
                self.call.join(command["link"], command["name"])
            case "microphone":
                self.call.set_microphone(command["on"])
            case "camera":
                self.call.set_camera(command["on"])
            case "leave":
                self.call.leave()
        return self.report()

    def end(self) -> None:
        self._ended.set()
        self._looker.join()
        self.call.close()


def _lines() -> Iterator[bytes]:
    # os.read, not sys.stdin: the interpreter's own buffer would hide the end of the input.
    rest = b""
    while data := os.read(0, 65536):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def main() -> None:
    probe = Probe(int(sys.argv[1]), float(sys.argv[2]), cast(Literal["process", "thread"], sys.argv[3]))
    try:
        for line in _lines():
            print(json.dumps({"at": time.monotonic()} | probe.do(json.loads(line))), flush=True)
    finally:
        probe.end()


if __name__ == "__main__":
    main()
