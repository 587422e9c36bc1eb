"""The desktop program with its real window, in a room with a headless member."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.desktop import Desktop
from tests.e2e.test_first_call import assert_hears, assert_sees
from tests.support.server_process import ROOT, ServerProcess, wait_for

#: Guards against hangs only, in seconds.
SECONDS = 90
WITHIN = 60.0
PICTURE_AFTER = 6.0


def test_the_window_shows_others_and_is_shown_to_them(
    server: ServerProcess, xvfb_display: str, private: Path, tmp_path: Path
) -> None:
    meeting = server.open_meeting("By the window")
    stats, picture = tmp_path / "window.json", tmp_path / "window.png"
    command = [sys.executable, "-m", "client.app.desktop", "--join", meeting.link, "--join-now"]
    command += ["--name", "Wim Willow", "--camera", "test:301", "--sound", "tone:520", "--size", "1280x720"]
    command += ["--seconds", str(SECONDS), "--stats", str(stats), "--screenshot", str(picture)]
    command += ["--screenshot-after", str(PICTURE_AFTER)]
    environment = os.environ | {"DISPLAY": xvfb_display, "QT_QPA_PLATFORM": "xcb", "QT_LOGGING_RULES": ""}
    with Desktop("Xia Xylem", 302, 700.0) as xia:
        xia.join(meeting.link)
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        ) as window:
            try:
                wim = Desktop("Wim Willow", 301, 520.0)  # only its name, mark and tone
                assert_sees(xia, wim)
                assert_hears(xia, wim)
                wait_for("the picture of the window", picture.exists, WITHIN)
                window.terminate()  # it leaves and writes its counts as if it were closed
                _, said = window.communicate(timeout=WITHIN)
            finally:
                window.kill()
        assert window.returncode == 0, said
        assert "Traceback" not in said, said
    report = json.loads(stats.read_text())
    shown = {member["name"]: member for member in report["members"]}
    assert set(shown["Xia Xylem"]["marks"]) == {"302"}, shown
    assert shown["Xia Xylem"]["frames_shown"] > 10, shown
    assert picture.stat().st_size > 10_000
