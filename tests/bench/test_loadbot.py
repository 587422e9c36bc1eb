"""The load bot on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.loadbot.__main__ import main
from rtc.invitation import Invitation, new_token
from tests.support.server_process import ServerProcess

LOOPBACK = ("--host", "127.0.0.1", "--advertise", "127.0.0.1")


def test_three_members_get_each_others_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    with ServerProcess(*LOOPBACK) as server:
        link = server.open_meeting().link
        options = ["--members", "3", "--scenario", "everybody", "--seconds", "2", "--report", str(file)]
        code = main(["--join", link, *options])
    found = json.loads(file.read_text())
    assert found["joined"] == 3
    assert found["streams"] == {"expected": 12, "seen": 12}
    # Six streams of sound and six of pictures, two seconds at least.
    assert found["frames"] >= 6 * 2 * (50 + 15) * 0.8
    assert found["packets"] > found["frames"]
    wrong = ("wrong_sender", "unstamped", "malformed", "not_from_key_frame", "backward_frames", "strangers")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert found["forward_delay_ms"]["count"] == found["frames"] + found["incomplete_frames"]
    assert code == (1 if found["complaints"] else 0)
    assert "3 of 3 members joined" in capsys.readouterr().out


def test_who_is_not_let_in_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with ServerProcess(*LOOPBACK) as server:
        right = Invitation.parse(server.open_meeting().link)
        wrong = Invitation(right.host, right.port, new_token(), right.room)
        code = main(["--join", wrong.link, "--members", "2", "--seconds", "0.1"])
    assert code == 1
    said = capsys.readouterr().err
    assert "Only 0 of 2 members could join." in said
    assert "token-wrong" in said
