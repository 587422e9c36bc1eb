"""A member of a meeting without a screen: joins by link, sends a file or a test picture, receives everybody.

It watches its tiles like a person would: a picture counts as shown when it is taken out of its slot, and
its time code is read at that moment. It leaves after --seconds, when its standard input ends, or on SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client.app.figures import TileFigures, all_delays, summary
from client.app.source_text import SOUND_HELP, VIDEO_HELP, size, sound_source, video_source
from client.call.call import Call
from client.media import mark
from client.media.picture import Picture
from client.media.playback.speaker import SpeakerSpec
from client.media.slot import LatestSlot
from client.media.sources import SoundSourceSpec, VideoSourceSpec
from client.session.state import Phase, SessionState
from rtc import collector

#: Seconds to get into the meeting.
JOIN_TIMEOUT = 30.0
#: Seconds for the others to hear that we leave.
LEAVE_TIMEOUT = 3.0


class Watcher:
    """Takes pictures out of the slots of a call as soon as they are there and reads their marks."""

    def __init__(self, call: Call) -> None:
        self.tiles: dict[str, TileFigures] = {}
        self._slots: dict[str, LatestSlot[Picture]] = {}
        self._call = call
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def watch(self, member_id: str) -> None:
        """Look at this member's tile from now on."""
        slot = self._call.pictures.slot(member_id)
        if self._slots.get(member_id) is not slot:  # a member who comes again may get another slot
            self.tiles.setdefault(member_id, TileFigures())
            self._slots[member_id] = slot
            slot.on_put = self._wake.set
            self._wake.set()

    def stop(self) -> None:
        """Look no more."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            for member_id, slot in tuple(self._slots.items()):
                picture = slot.take()
                if picture is not None:
                    _look(self.tiles[member_id], picture)


def _look(tile: TileFigures, picture: Picture) -> None:
    now = time.monotonic()
    seen = mark.read(picture)
    tile.saw(None if seen is None else seen.identity, 0.0 if seen is None else seen.time, now)


class Member:
    """One headless member from joining to its report."""

    def __init__(
        self,
        name: str,
        video: VideoSourceSpec | None,
        sound: SoundSourceSpec | None,
        size: tuple[int, int] = (640, 360),
        fps: float = 30.0,
    ) -> None:
        self.name = name
        self._names: dict[str, str] = {}
        self._settled = threading.Event()
        self._left = threading.Event()
        self._ended = threading.Event()
        self._state = SessionState()
        self._call = Call(
            studio="thread", speaker=SpeakerSpec("null"), on_state=self._on_state, size=size, fps=fps
        )
        self._call.open()
        self._watcher = Watcher(self._call)
        self._call.choose_video(video)
        self._call.choose_sound(sound)

    def join(self, link: str) -> str:
        """Get in; an empty text, or a sentence that says why not."""
        self._call.join(link, self.name)
        if not self._settled.wait(JOIN_TIMEOUT):
            return f"{self.name} did not get into the meeting within {JOIN_TIMEOUT:.0f} seconds."
        problem = self._state.problem
        return problem.sentence if problem is not None else ""

    def stay(self, seconds: float | None) -> str:
        """Stay until the time is over or `end` is called; a sentence if the meeting ended before that."""
        self._ended.wait(seconds)
        problem = self._state.problem
        return problem.sentence if problem is not None else ""

    def end(self) -> None:
        """Let `stay` return; may be called from any thread."""
        self._ended.set()

    def leave(self) -> dict[str, Any]:
        """Leave properly and return the report of this member."""
        report = self._report()
        self._call.leave()
        self._left.wait(LEAVE_TIMEOUT)
        self._watcher.stop()
        self._call.close()
        return report

    def _on_state(self, state: SessionState) -> None:
        self._state = state
        for member in state.members:
            if not member.is_me:
                self._names[member.id] = member.name
                self._watcher.watch(member.id)
        if state.phase in (Phase.IN_CALL, Phase.FAILED):
            self._settled.set()
        if state.phase in (Phase.LEFT, Phase.FAILED):
            self._left.set()
            self._ended.set()

    def _report(self) -> dict[str, Any]:
        statistics = self._call.statistics().members
        tiles = dict(self._watcher.tiles)
        sources = []
        for member_id, tile in tiles.items():
            heard = statistics.get(member_id)
            entry = {"name": self._names.get(member_id, ""), **tile.to_dict()}
            if heard is not None:
                entry["frames_received"] = heard.frames_received
                entry["audio_packets"] = heard.audio_packets
                entry["audio_level_dbfs"] = heard.audio_level_dbfs
                entry["join_to_first_frame_ms"] = heard.join_to_first_frame_ms
            sources.append(entry)
        return summary(self.name, sources, all_delays(tiles))


def main(argv: Sequence[str] | None = None) -> int:
    """Be a member until it is time to leave; 0 when the meeting went as it should."""
    options = _options(argv)
    try:
        width, height = size(options.size)
        video = video_source(options.video, width, height, options.fps)
        sound = sound_source(options.sound)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    member = Member(options.name, video, sound, (width, height), options.fps)
    collector.settle()
    signal.signal(signal.SIGTERM, lambda _number, _frame: member.end())
    if options.leash:
        threading.Thread(target=_end_with_input, args=(member,), name="leash", daemon=True).start()
    problem = member.join(options.link)
    if not problem:
        print(json.dumps({"event": "in-call", "name": options.name}), flush=True)
        problem = member.stay(options.seconds)
    report = member.leave()
    report["problem"] = problem
    if options.report is not None:
        options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m client.app.member", description=__doc__)
    parser.add_argument("--join", dest="link", required=True, metavar="LINK", help="the invitation")
    parser.add_argument("--name", required=True, help="how the others see this member")
    parser.add_argument("--video", default="test:0", metavar="SOURCE", help=VIDEO_HELP)
    parser.add_argument("--sound", default="silence", metavar="SOURCE", help=SOUND_HELP)
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of the picture that is sent")
    parser.add_argument("--fps", type=float, default=30.0, help="pictures sent per second")
    parser.add_argument("--seconds", type=float, help="leave after this time in the meeting")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was received to this file")
    parser.add_argument("--leash", action="store_true", help="leave when standard input ends")
    return parser.parse_args(argv)


def _end_with_input(member: Member) -> None:
    # os.read, not sys.stdin: a thread that waits inside a buffered reader spoils the interpreter's exit.
    while os.read(0, 1024):
        pass
    member.end()


if __name__ == "__main__":
    raise SystemExit(main())
