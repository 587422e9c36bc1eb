"""What the window counts is what the demo's report needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from client.app.demo_report import Person, failures, member_entry, window_report
from client.app.window_stats import WindowStatistics
from client.call.statistics import CallStatistics, MemberStatistics
from client.media import mark
from client.media.picture import Picture
from client.session.state import MemberView, Phase, SessionState

YOU = Person("You", "desktop", 1)
MEI = Person("Mei", "simulated", 11)


def marked(identity: int, painted_at: float) -> Picture:
    picture = Picture.blank(320, 180, painted_at)
    mark.paint(picture.planes, identity, painted_at)
    return picture


def window(tmp_path: Path, mei_shows: int) -> dict[str, object]:
    """What a window writes that showed itself and Mei for two seconds."""
    now = [100.0]
    statistics = WindowStatistics(clock=lambda: now[0])
    people = (MemberView("a", "You", is_me=True), MemberView("b", "Mei"))
    statistics.on_state(SessionState(phase=Phase.IN_CALL, members=people, joined_at=100.0))
    for number in range(60):
        now[0] = 100.5 + number / 30
        statistics.on_shown("me", marked(1, now[0]))
        statistics.on_shown("b", marked(mei_shows, now[0] - 0.040))
    call = CallStatistics({"b": MemberStatistics("Mei", 61, 60, 0, 100, -25.0, 420.0)})
    path = tmp_path / "window.json"
    statistics.write(path, call=asdict(call))
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_a_window_becomes_an_entry_without_its_own_picture(tmp_path: Path) -> None:
    entry = member_entry(YOU, window_report(window(tmp_path, MEI.identity)), 2.5)
    delays = entry.pop("glass_to_glass_ms")
    assert all(abs(delays[name] - 40.0) < 0.2 for name in ("p50", "p99"))
    assert entry == {
        "name": "You",
        "kind": "desktop",
        "frames_received": 61,
        "frames_shown": 60,
        "distinct_pictures": 60,
        "audio_packets": 100,
        "audio_level_dbfs": -25.0,
        "join_to_first_frame_ms": 420.0,
        "cpu_seconds": 2.5,
    }


def test_the_wrong_picture_in_a_window_is_a_failure(tmp_path: Path) -> None:
    mei = {"sources": [{"name": "You", "frames_shown": 9, "identities": {"1": 9}, "audio_packets": 9}]}
    good = {"You": window_report(window(tmp_path, MEI.identity)), "Mei": mei}
    assert failures([YOU, MEI], good) == []
    wrong = {"You": window_report(window(tmp_path, 77)), "Mei": mei}
    assert failures([YOU, MEI], wrong) == [
        "You's tile of Mei showed pictures of somebody else (mark 77).",
        "No mark of Mei could be read in the 60 pictures shown in You's tile of Mei.",
    ]
