"""The desktop program as a process: the gallery, the files it writes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from PySide6.QtGui import QImage

DESKTOP = [sys.executable, "-m", "client.app.desktop"]


def environment(private: Path, display: str) -> dict[str, str]:
    return {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HEARTH_CONFIG_DIR": str(private)}


def test_the_gallery_shows_everybody_and_ends_by_itself(private: Path, xvfb_display: str) -> None:
    picture, stats = private / "shots" / "call.png", private / "stats.json"
    options = ["--fake", "4", "--name", "Mei", "--join-now", "--size", "900x600", "--seconds", "5"]
    files = ["--screenshot", str(picture), "--screenshot-after", "3", "--stats", str(stats)]
    done = subprocess.run(
        [*DESKTOP, *options, *files],
        env=environment(private, xvfb_display),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (900, 600)
    report = json.loads(stats.read_text("utf-8"))
    assert report["page"] == "call"
    members = {member["id"]: member for member in report["members"]}
    for member_id, identity in (("me", 0), ("m1", 1), ("m2", 2)):
        shown = members[member_id]
        assert shown["frames_shown"] > 5
        assert shown["distinct_pictures"] > 5
        assert list(shown["marks"]) == [str(identity)]  # nobody else's picture, ever
    assert members["m3"]["frames_shown"] == 0  # this camera is off
    assert json.loads((private / "preferences.json").read_text("utf-8"))["name"] == "Mei"


def test_a_request_to_end_is_followed_in_order(private: Path, xvfb_display: str) -> None:
    process = subprocess.Popen(
        [*DESKTOP, "--fake", "2", "--name", "Mei", "--join-now", "--stats", str(private / "stats.json")],
        env=environment(private, xvfb_display),
        stderr=subprocess.PIPE,
    )
    try:
        # The name is remembered on joining: from then on the program runs.
        deadline = time.monotonic() + 60
        while not (private / "preferences.json").exists():
            assert time.monotonic() < deadline
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.send_signal(signal.SIGTERM)
        _out, complaints = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert (process.returncode, complaints) == (0, b"")
    assert (private / "stats.json").exists()


def test_without_a_screen_it_says_so(private: Path) -> None:
    environ = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    done = subprocess.run(DESKTOP, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert done.stderr.startswith("There is no screen here")


def test_a_source_that_makes_no_sense_is_a_sentence(private: Path, xvfb_display: str) -> None:
    done = subprocess.run(
        [*DESKTOP, "--camera", "test:x"],
        env=environment(private, xvfb_display),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "“test:x” needs a number from 0 to 65535.\n")
