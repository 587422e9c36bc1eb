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
    parser.add_argument("--size", default="1280x720", metavar="WxH", help="of the window")
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    value = float(text)
    if not 5.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError("a demo lasts from 5 to 3600 seconds")
    return value


def _run(options: argparse.Namespace) -> int:
    _writable(options.report)
    _writable(options.screenshot)
    media = _media()
    with tempfile.TemporaryDirectory(prefix="hearth-demo-") as name, Stage(Path(name)) as stage:
        folder = Path(name)
        environment = dict(os.environ)
        environment["HEARTH_CONFIG_DIR"] = str(folder)  # the demo must not change anybody's preferences
        seconds = options.seconds
        if not has_screen():
            stage.screen, environment = start_screen(stage.children, environment)
            seconds = seconds or UNSEEN_SECONDS
            print(f"There is no screen here: the meeting runs on one of its own for {seconds:.0f} seconds.")
        print("Starting the server and three members. They join over real WebRTC.")
        stage.open(TITLE)
        stage.enter(_parts(media, folder))
        print(f"The meeting is on. Others can join: {stage.link}", flush=True)
        window = _open_window(stage, options, media, seconds, folder, environment)
        trouble = _until_closed(stage, window, seconds)
        return _finish(stage, window, options, seconds, folder, trouble)


def _writable(path: Path | None) -> None:
    if path is not None and not path.absolute().parent.is_dir():
        raise StageError(f"There is no folder {path.absolute().parent} for {path.name}. Make it first.")


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
        Part(person, f"file:{person.identity}:{media[video]}", str(voice), size)
        for (person, video, _, size), voice in zip(OTHERS, voices, strict=True)
    ]


def _open_window(
    stage: Stage,
    options: argparse.Namespace,
    media: dict[str, Path],
    seconds: float | None,
    folder: Path,
    environment: dict[str, str],
) -> Child:
    arguments = ["--join", stage.link, "--name", YOU.name, "--join-now", "--size", options.size]
    arguments += ["--camera", f"test:{YOU.identity}", "--sound", "silence"]
    arguments += ["--stats", str(folder / "window.json")]
    if seconds is not None:
        arguments += ["--seconds", str(seconds)]
    if options.screenshot is not None:
        # Late enough that everybody has been seen, early enough that nobody has left.
        after = 5.0 if seconds is None else min(max(seconds * 0.6, 3.0), seconds - 1.0)
        arguments += ["--screenshot", str(options.screenshot.absolute()), "--screenshot-after", str(after)]
    window = stage.children.start(YOU.name, leashed(module("client.app.desktop", *arguments)), environment)
    stage.meter.add(YOU.name, window.pid)
    return window


def _until_closed(stage: Stage, window: Child, seconds: float | None) -> str:
    """Wait for the window to close; a sentence if a part of the meeting ended before it.

    Somebody who looks at the window is told and may go on; a demo that ends by itself ends at once.
    """
    deadline = None if seconds is None else time.monotonic() + seconds + WINDOW_SLACK
    trouble = ""
    while window.exit_code is None:
        stage.meter.sample()
        if not trouble and (trouble := stage.trouble()):
            if deadline is not None:
                return trouble
            print(trouble, file=sys.stderr)
        if deadline is not None and time.monotonic() > deadline:
            return f"The window did not close within {WINDOW_SLACK:.0f} seconds after its time."
        window.wait(_METER_SECONDS)
    if window.exit_code:
        return f"The window ended with an error. {window.last_words()}".strip()
    return trouble


def _finish(
    stage: Stage,
    window: Child,
    options: argparse.Namespace,
    seconds: float | None,
    folder: Path,
    trouble: str,
) -> int:
    metrics = stage.server_metrics()
    stage.meter.sample()
    window.stop()
    reports = stage.dismiss()
    seen, lasted = _window_report(folder / "window.json")
    reports |= seen
    report = _report(stage, reports, metrics, lasted)
    problems = ([trouble] if trouble else []) + ([] if seconds is None else failures(_people(), reports))
    if options.screenshot is not None and not options.screenshot.is_file():
        problems.append(f"The window wrote no screenshot to {options.screenshot}.")
    if options.report is not None:
        options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if seconds is not None:
        print(summary_table(report))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


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
