"""The demo as a person starts it: a real meeting, counted, and nothing left behind whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
#: A guard against hangs only, in seconds.
WITHIN = 120.0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and an X server of its own")


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo on a screen of its own, with its output as text."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "client.app.demo", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    """Read until a line has these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    assert process.stderr is not None
    raise AssertionError(f"the demo never said “{words}”: {process.stderr.read()}")


def family(process: subprocess.Popen[str], containing: str = "") -> list[psutil.Process]:
    """Everything that the demo started and that runs now."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [child for child in found if containing in " ".join(child.cmdline())]


def wait_for_family(process: subprocess.Popen[str], containing: str) -> list[psutil.Process]:
    """Wait until a child of this kind runs."""
    deadline = time.monotonic() + WITHIN
    while not (found := family(process, containing)):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    return found


def test_a_demo_gives_a_true_report_and_a_screenshot(tmp_path: Path) -> None:
    report_file, screenshot = tmp_path / "a report.json", tmp_path / "a picture.png"
    with demo("--seconds", "8", "--report", str(report_file), "--screenshot", str(screenshot)) as process:
        output, errors = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, output + errors
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert set(report) == {"seconds", "members", "server"}
    assert 7.0 < report["seconds"] < 20.0
    assert [(m["name"], m["kind"]) for m in report["members"]] == [
        ("You", "desktop"), ("Mei", "simulated"), ("Tom", "simulated"), ("Aisha", "simulated"),
    ]  # fmt: skip
    for member in report["members"]:
        assert 0 < member["distinct_pictures"] <= member["frames_shown"] <= member["frames_received"]
        assert member["audio_packets"] > 100
        assert -60.0 < member["audio_level_dbfs"] < -3.0
        assert member["join_to_first_frame_ms"] > 0.0
        assert 0.0 < member["glass_to_glass_ms"]["p50"] <= member["glass_to_glass_ms"]["p99"]
        assert member["cpu_seconds"] > 0.5
    server = report["server"]
    assert server["decoders_opened"] == 0
    assert server["packets_out"] > 2 * server["packets_in"] > 1000  # each of four goes to three others
    assert server["cpu_seconds"] > 0.1
    assert server["rss_bytes"] > 10_000_000
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    assert screenshot.stat().st_size > 50_000  # four tiles with pictures in them, not an empty window


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind_when_the_demo_is_stopped(number: signal.Signals) -> None:
    with demo("--seconds", "300") as process:
        wait_for_line(process, "The meeting is on")
        wait_for_family(process, "client.app.desktop")
        started = family(process)
        assert len(started) >= 6  # a screen, a server, three members, a window, and their leashes
        process.send_signal(number)
        output, errors = process.communicate(timeout=WITHIN)
        assert process.returncode == (-9 if number is signal.SIGKILL else 130), output + errors
        _, alive = psutil.wait_procs(started, timeout=30)
        assert alive == []


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("server_lite", "The server ended"),
        ("--name Tom", "Tom left in the middle"),
        ("Xvfb -displayfd", "ended"),
    ],
)
def test_a_part_that_dies_ends_the_demo_with_a_sentence(part: str, words: str, tmp_path: Path) -> None:
    report_file = tmp_path / "r.json"
    with demo("--seconds", "300", "--report", str(report_file)) as process:
        wait_for_line(process, "The meeting is on")
        wait_for_family(process, "client.app.desktop")
        started = family(process)
        victims = [
            child for child in wait_for_family(process, part) if "client.app.leash" not in child.cmdline()
        ]
        victims[0].kill()
        output, errors = process.communicate(timeout=WITHIN)
        assert process.returncode == 1, output + errors
        assert words in errors
        _, alive = psutil.wait_procs(started, timeout=30)
        assert alive == []
    assert json.loads(report_file.read_text(encoding="utf-8"))["members"]
