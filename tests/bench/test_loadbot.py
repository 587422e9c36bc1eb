"""The load bot on a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.loadbot.__main__ import main
from rtc.invitation import Invitation, new_token
from tests.support.server_process import ServerProcess

LOOPBACK = ("--host", "127.0.0.1", "--advertise", "127.0.0.1")
#: What no path and no machine may do, however busy.
NEVER = ("wrong_sender", "unstamped", "malformed", "backward_frames", "picture_id_jumps", "bad_switches")


def load(folder: Path, scenario: str, members: int, seconds: float, *more: str) -> dict[str, Any]:
    """The report of one on a server of its own; the exit code must agree with it."""
    file = folder / "report.json"
    with ServerProcess(*LOOPBACK) as server:
        link = server.open_meeting().link
        options = ["--members", str(members), "--scenario", scenario, "--seconds", str(seconds), *more]
        code = main(["--join", link, *options, "--report", str(file)])
    found: dict[str, Any] = json.loads(file.read_text())
    assert code == (1 if found["complaints"] else 0)
    assert {name: found[name] for name in NEVER} == dict.fromkeys(NEVER, 0)
    return found


def test_three_members_get_each_others_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load(tmp_path, "everybody", 3, 2.0)
    assert found["joined"] == 3
    assert found["streams"] == {"expected": 12, "seen": 12}
    # Six streams of sound and six of pictures, two seconds at least.
    assert found["frames"] >= 6 * 2 * (50 + 15 / 4) * 0.8
    assert found["packets"] > found["frames"]
    assert found["not_from_key_frame"] == 0
    assert 0 < found["forward_delay_ms"]["count"] <= found["frames"]
    assert "3 of 3 members joined" in capsys.readouterr().out


def test_layers_of_one_stream_come_whole(tmp_path: Path) -> None:
    found = load(tmp_path, "svc-av1", 2, 2.0)
    assert found["streams"] == {"expected": 4, "seen": 4}
    # More than one spatial layer of two pictures, and the sound.
    assert found["frames"] > 2 * 2 * (50 + 30)


def test_a_member_moves_to_another_address_without_a_new_handshake(tmp_path: Path) -> None:
    found = load(tmp_path, "wifi-to-cable", 2, 9.0)
    assert found["handshakes"] == 1
    assert found["joined"] == 2
    # Most of the nine seconds, six of them after the move.
    assert found["troubled"]["frames"] > 9 * 50 * 0.7
    assert found["troubled"]["longest_gap_ms"] < 2000


def test_losses_are_repaired(tmp_path: Path) -> None:
    found = load(tmp_path, "loss5", 2, 6.0)
    assert found["troubled"]["repaired"] > 5
    assert found["troubled"]["lost"] > 5  # of sound, which nobody repairs
    assert found["troubled"]["frames"] > 6 * 50 * 0.7


def test_who_is_not_let_in_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with ServerProcess(*LOOPBACK) as server:
        right = Invitation.parse(server.open_meeting().link)
        wrong = Invitation(right.host, right.port, new_token(), right.room)
        code = main(["--join", wrong.link, "--members", "2", "--seconds", "0.1"])
    assert code == 1
    said = capsys.readouterr().err
    assert "Only 0 of 2 members could join." in said
    assert "token-wrong" in said
