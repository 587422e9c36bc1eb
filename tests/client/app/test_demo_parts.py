"""The demo's machinery without a meeting: turns of speech, sources as words, children that never stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import psutil
import pytest

from client.app import demo
from client.app.children import ROOT, Children, leashed, module
from client.app.own_screen import has_screen
from client.app.process_meter import ProcessMeter
from client.app.source_text import size, sound_source, video_source
from client.app.turns import one_part, read_wave, write_turns, write_wave
from client.media.sources import FileSoundSpec, FileVideoSpec, SilenceSpec, TestPictureSpec, ToneSpec

RATE = 8000


def tone(seconds: float, amplitude: float = 0.05) -> np.ndarray:
    steps = np.arange(round(seconds * RATE))
    return np.rint(np.sin(steps * 0.3) * amplitude * 32767).astype(np.int16)


def test_one_speaks_at_a_time_and_all_parts_loop_in_step() -> None:
    parts = [one_part(tone(3.0 + place), RATE, place, 3, rounds=2, turn=1.0) for place in range(3)]
    assert {part.size for part in parts} == {6 * RATE}
    for second in range(6):
        loud = [bool(np.any(part[second * RATE : (second + 1) * RATE])) for part in parts]
        assert loud == [place == second % 3 for place in range(3)]


def test_turns_start_at_the_first_word_and_are_equally_loud() -> None:
    quiet = np.concatenate((np.zeros(RATE, np.int16), tone(2.0, 0.01)))
    loud = tone(2.0, 0.9)
    for samples in (quiet, loud):
        turn = one_part(samples, RATE, 0, 1, rounds=1, turn=1.0)
        assert np.any(turn[:20])
        level = 20 * np.log10(np.sqrt(np.mean((turn / 32768.0) ** 2)))
        assert -23.5 < level < -20.5
        assert np.abs(turn.astype(int)).max() < 32767


def test_recordings_are_written_and_read_again(tmp_path: Path) -> None:
    source = tmp_path / "a b.wav"
    write_wave(source, tone(1.0), RATE)
    samples, rate = read_wave(write_turns([source], tmp_path, rounds=1)[0])
    assert (rate, samples.size) == (RATE, 5 * RATE)
    with wave.open(str(source), "wb") as stream:
        stream.setnchannels(2)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
    with pytest.raises(ValueError, match="not a 16-bit mono"):
        read_wave(source)


def test_sources_as_words(tmp_path: Path) -> None:
    film = tmp_path / "a:b.mp4"
    film.touch()
    assert video_source("test:7", 320, 180, 15.0) == TestPictureSpec(7, 320, 180, 15.0)
    assert video_source(f"file:65535:{film}") == FileVideoSpec(str(film), mark=65535)
    assert video_source(str(film)) == video_source(f"file:{film}") == FileVideoSpec(str(film))
    assert video_source("none") is None
    assert sound_source("tone:440") == ToneSpec(440.0)
    assert sound_source(f"file:{film}") == FileSoundSpec(str(film))
    assert sound_source("silence") == SilenceSpec()
    assert sound_source("none") is None
    assert size("640x360") == (640, 360)


@pytest.mark.parametrize("text", ["test:70000", "film.mp4", "file:3:film.mp4"])
def test_a_picture_source_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        video_source(text)


@pytest.mark.parametrize("text", ["640", "641x360", "640x360x3", "axb"])
def test_a_wrong_size_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="no picture size"):
        size(text)


def test_arguments_of_the_demo() -> None:
    options = demo._options(["--seconds", "20", "--report", "r.json"])
    assert (options.seconds, options.report, options.size) == (20.0, Path("r.json"), "1280x720")
    for wrong in ("1", "-3", "nan", "long"):
        with pytest.raises(SystemExit):
            demo._options(["--seconds", wrong])
    with pytest.raises(SystemExit):
        demo._options(["--size", "large"])


@pytest.mark.parametrize("seconds", [None, 5.0, 8.0, 20.0, 3600.0])
def test_the_screenshot_is_taken_while_everybody_is_there(seconds: float | None) -> None:
    after = demo.screenshot_after(seconds)
    assert after >= 3.0
    assert seconds is None or after <= seconds - 1.0


def test_a_folder_that_is_not_there_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["--seconds", "5", "--report", str(tmp_path / "none" / "r.json")]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_marks_and_names_of_the_cast_are_all_different() -> None:
    people = demo._people()
    assert len({person.identity for person in people}) == len({person.name for person in people}) == 4


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":60999"}, "linux", False),
        ({"DISPLAY": "elsewhere:0"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_whether_there_is_a_screen(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert has_screen(environment, platform) is expected


ECHO = "import json, os, sys; print(json.dumps({'pid': os.getpid()}), flush=True); sys.stdin.read()"
STUBBORN = (
    "import json, os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(json.dumps({'pid': os.getpid()}), flush=True); time.sleep(600)"
)


def start_and_crash(pids: list[int]) -> None:
    with Children() as children:
        for name in "ab":
            child = children.start(name, [sys.executable, "-c", ECHO])
            pids.append(child.events.get(timeout=20)["pid"])
        assert all(psutil.pid_exists(pid) for pid in pids)
        raise RuntimeError("crash")


def test_children_end_with_their_context_also_after_an_exception() -> None:
    pids: list[int] = []
    with pytest.raises(RuntimeError, match="crash"):
        start_and_crash(pids)
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_child_that_ignores_everything_is_killed_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("client.app.children.STOP_TIMEOUT", 0.2)
    with Children() as children:
        child = children.start("stubborn", leashed([sys.executable, "-c", STUBBORN]))
        inner = child.events.get(timeout=20)["pid"]
        assert inner != child.pid
    assert not psutil.pid_exists(child.pid)
    assert not psutil.pid_exists(inner) or psutil.Process(inner).status() == psutil.STATUS_ZOMBIE


def test_what_a_child_says_in_its_last_line_is_kept() -> None:
    with Children() as children:
        child = children.start(
            "failing", [sys.executable, "-c", "import sys; sys.exit('There is no camera.')"]
        )
        assert child.wait(20) == 1
        child.stop()
        assert child.last_words() == "There is no camera."


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_leashed_program_ends_when_its_starter_is_killed() -> None:
    sleeper = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    script = f"""
import sys, time
from client.app.children import Children, leashed
child = Children().start("x", leashed([sys.executable, "-c", {sleeper!r}]))
print(child.events.get(timeout=20), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as starter:
        assert starter.stdout is not None
        inner = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        _, alive = psutil.wait_procs([inner], timeout=20)
        assert not alive


def test_the_meter_remembers_those_who_ended() -> None:
    burn = """
import time
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("{}", flush=True)
input()
"""
    meter = ProcessMeter()
    with Children() as children:
        child = children.start("busy", [sys.executable, "-c", burn])
        meter.add("busy", child.pid)
        child.events.get(timeout=30)
        meter.sample()
    meter.sample()
    assert 0.25 < meter.cpu_seconds("busy") < 5.0
    assert meter.rss_bytes("busy") > 1_000_000


def test_a_module_runs_in_this_python() -> None:
    assert module("client.app.member", "--name", "Mei") == [
        sys.executable, "-m", "client.app.member", "--name", "Mei",
    ]  # fmt: skip
