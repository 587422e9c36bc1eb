"""A complete meeting on one machine for somebody who is alone: server, three simulated members, the window.

With --seconds it ends by itself, writes what was counted and fails if anything of the meeting failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from client.app.children import Child, leashed, module
from client.app.demo_report import Person, failures, member_entry, server_entry, summary_table, window_report
from client.app.meeting_stage import SERVER, Part, Stage, StageError
from client.app.own_screen import ScreenError, has_screen, start_screen
from client.app.source_text import size
from client.app.turns import write_turns
from client.services.embedded import ServerError
from client.services.meetings import MeetingError
from models.errors import FetchError
from models.fetch import fetch
from models.progress import TerminalBar

TITLE = "Hearth demo"
YOU = Person("You", "desktop", 1, speaks=False)
#: Who else is there: person, moving picture and recorded voice (names of the manifest), size that is sent.
#: The sizes follow the films: sending more pixels than a film has costs everybody and shows nothing.
OTHERS = (
    (Person("Mei", "simulated", 11), "bunny", "two-cities", "640x360"),
    (Person("Tom", "simulated", 12), "carphone", "two-speakers", "320x180"),
    (Person("Aisha", "simulated", 13), "bikes", "beckett", "480x270"),
)
#: How long a demo lasts where nobody can close its window, in seconds.
UNSEEN_SECONDS = 20.0
#: Seconds that the window may take beyond the time it was given: to start, to join and to write its files.
WINDOW_SLACK = 60.0
_METER_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when the meeting was as it should be."""
    options = _options(argv)
    previous = signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(options)
    except (FetchError, ServerError, MeetingError, StageError, ScreenError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("The demo was stopped.", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt  # so that everything is put away as with Ctrl+C


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hearth demo", description=__doc__)
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="end by itself after this time in the call"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was counted, as JSON")
    parser.add_argument(
        "--screenshot", type=Path, metavar="FILE", help="write a picture of the window, as PNG"
    )
    parser.add_argument("--size", type=_size, default="1280x720", metavar="WxH", help="of the window")
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    value = float(text)
    if not 5.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError("a demo lasts from 5 to 3600 seconds")
    return value


def _size(text: str) -> str:
    try:
        size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _run(options: argparse.Namespace) -> int:
    for path in (options.report, options.screenshot):
        _make_place(path)
    media = _media()
    with tempfile.TemporaryDirectory(prefix="hearth-demo-") as name, Stage(Path(name)) as stage:
        show = Demo(stage, options, Path(name))
        show.find_screen()
        print("Starting the server and three members. They join over real WebRTC.", flush=True)
        stage.open(TITLE)
        stage.enter(_parts(media, Path(name)))
        print(f"The meeting is on. Others can join: {stage.link}", flush=True)
        show.open_window()
        trouble = show.wait()
        return show.finish(trouble)


def _make_place(path: Path | None) -> None:
    """Say now, not after the meeting, that a file cannot be written; an old file of that name goes."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise StageError(f"There is no folder {path.absolute().parent} for {path.name}. Make it first.")
    path.unlink(missing_ok=True)


def _media() -> dict[str, Path]:
    """The recordings, fetched once and kept."""
    bar = TerminalBar(sys.stderr)
    try:
        return fetch([name for _, video, voice, _ in OTHERS for name in (video, voice)], progress=bar)
    finally:
        bar.close()


def _parts(media: dict[str, Path], folder: Path) -> list[Part]:
    voices = write_turns([media[voice] for _, _, voice, _ in OTHERS], folder)
    return [
        Part(person, f"file:{person.identity}:{media[video]}", str(voice), sent)
        for (person, video, _, sent), voice in zip(OTHERS, voices, strict=True)
    ]


class Demo:
    """The window in the meeting on a stage: opened, watched, and accounted for."""

    def __init__(self, stage: Stage, options: argparse.Namespace, folder: Path) -> None:
        self._stage = stage
        self._options = options
        self._stats = folder / "window.json"
        self._seconds: float | None = options.seconds
        # The demo must not change anybody's preferences.
        self._environment = {**os.environ, "HEARTH_CONFIG_DIR": str(folder)}
        self._window: Child | None = None

    def find_screen(self) -> None:
        """Make a screen if there is none; then nobody can close the window, so the demo ends by itself."""
        if has_screen():
            return
        self._stage.screen, self._environment = start_screen(self._stage.children, self._environment)
        self._seconds = self._seconds or UNSEEN_SECONDS
        print(f"There is no screen here: the meeting runs on one of its own for {self._seconds:.0f} seconds.")

    def open_window(self) -> None:
        """Start the desktop program, joined to the meeting."""
        command = module("client.app.desktop", "--join", self._stage.link, "--name", YOU.name, "--join-now")
        command += ["--camera", f"test:{YOU.identity}", "--sound", "silence"]
        command += ["--size", self._options.size, "--stats", str(self._stats)]
        if self._seconds is not None:
            command += ["--seconds", str(self._seconds)]
        if self._options.screenshot is not None:
            file = str(self._options.screenshot.absolute())
            command += ["--screenshot", file, "--screenshot-after", str(screenshot_after(self._seconds))]
        self._window = self._stage.children.start(YOU.name, leashed(command), self._environment)
        self._stage.meter.add(YOU.name, self._window.pid)

    def wait(self) -> str:
        """Wait for the window to close; a sentence if a part of the meeting ended before it.

        Somebody who looks at the window is told and may go on; a demo that ends by itself ends at once.
        """
        assert self._window is not None, "open_window() comes before wait()"
        deadline = None if self._seconds is None else time.monotonic() + self._seconds + WINDOW_SLACK
        trouble = ""
        while self._window.exit_code is None:
            self._stage.meter.sample()
            if not trouble and (trouble := self._stage.trouble()):
                if deadline is not None:
                    return trouble
                print(trouble, file=sys.stderr)
            if deadline is not None and time.monotonic() > deadline:
                return f"The window did not close within {WINDOW_SLACK:.0f} seconds after its time."
            self._window.wait(_METER_SECONDS)
        if self._window.exit_code:
            return f"The window ended with an error. {self._window.last_words()}".strip()
        return trouble

    def finish(self, trouble: str) -> int:
        """Let everybody leave, write the report, say what went wrong; the exit status."""
        metrics = self._stage.server_metrics()
        self._stage.meter.sample()
        if self._window is not None:
            self._window.stop()
        reports = self._stage.dismiss()
        seen, lasted = _window_report(self._stats)
        reports |= seen
        report = _report(self._stage, reports, metrics, lasted)
        problems = [trouble] if trouble else []
        if self._seconds is not None:
            problems += failures(_people(), reports)
            print(summary_table(report))
        if self._options.screenshot is not None and not self._options.screenshot.is_file():
            problems.append(f"The window wrote no screenshot to {self._options.screenshot}.")
        if self._options.report is not None:
            self._options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0


def screenshot_after(seconds: float | None) -> float:
    """When to take the picture: late enough that everybody was seen, early enough that nobody has left."""
    return 5.0 if seconds is None else min(max(seconds * 0.6, 3.0), seconds - 1.0)


def _people() -> list[Person]:
    return [YOU, *(person for person, *_ in OTHERS)]


def _window_report(path: Path) -> tuple[dict[str, dict[str, Any]], float | None]:
    """The window's report by its name, and how long it was open in seconds; empty if it wrote none."""
    try:
        stats = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, None
    return {YOU.name: window_report(stats)}, stats["seconds"]


def _report(
    stage: Stage, reports: dict[str, dict[str, Any]], metrics: dict[str, float], seconds: float | None
) -> dict[str, Any]:
    members = [
        member_entry(person, reports.get(person.name, {}), stage.meter.cpu_seconds(person.name))
        for person in _people()
    ]
    server = server_entry(metrics, stage.meter.cpu_seconds(SERVER), stage.meter.rss_bytes(SERVER))
    return {"seconds": seconds, "members": members, "server": server}


if __name__ == "__main__":
    raise SystemExit(main())
