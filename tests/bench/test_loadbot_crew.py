"""Scenarios, how a load is shared, and what its merged report complains of."""

from __future__ import annotations

from typing import Any

import pytest

from bench.loadbot import __main__ as command
from bench.loadbot.crew import complaints, merge, share, turn_complaints
from bench.loadbot.scenarios import SCENARIOS, Scenario
from bench.loadbot.worker import Task
from rtc.invitation import Invitation, new_token

LINK = "http://127.0.0.1:8443/join/k7m2nqrx4p#AAAAAAAAAAAAAAAA"


def report(**changes: Any) -> dict[str, Any]:
    """Of a worker to which nothing bad happened."""
    findings = {"streams": 2, "packets": 10, "frames": 8}
    findings |= {
        name: changes.pop(name) for name in list(changes) if name in ("lost", "wrong_sender", "streams")
    }
    whole = {
        "findings": findings,
        "delays": {"10": 8},
        "strangers": 0,
        "expected_streams": 2,
        "joins": [0.2],
        "speakers": ["load-0"],
        "cpu": 0.2,
        "failures": [],
        "packets": 10,
        "sent": 5,
    }
    return whole | changes


def test_a_good_load_has_no_complaints() -> None:
    merged = merge([report(), report(joins=[0.4])], 2)
    assert merged["complaints"] == []
    assert (merged["packets"], merged["sent"], merged["streams"]) == (20, 10, {"expected": 4, "seen": 4})
    assert merged["forward_delay_ms"] == {"count": 16, "p50": 1.1, "p99": 1.1, "max": 1.1}
    assert merged["join_ms"]["p99"] == 400.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lost": 3}, "3 packets were lost."),
        ({"wrong_sender": 1}, "1 frames came from another sender"),
        ({"streams": 1}, "1 streams came instead of 2."),
        ({"joins": []}, "Only 0 of 1 members could join."),
        ({"failures": ["The server refused."]}, "The server refused."),
        ({"cpu": 0.97}, "short of CPU"),
    ],
)
def test_each_fault_has_its_sentence(changes: dict[str, Any], words: str) -> None:
    merged = merge([report(**changes)], 1)
    assert any(words in sentence for sentence in merged["complaints"]), merged["complaints"]


def test_streams_without_a_frame_are_a_fault() -> None:
    merged = merge([report()], 1) | {"frames": 0}
    assert complaints(merged) == ["No whole frame came."]


def test_a_load_is_shared_by_processes_of_nearly_equal_size() -> None:
    tasks = share("hearth", LINK, 150, 9, "everybody")
    assert [(task.first, task.members) for task in tasks] == [(0, 50), (50, 50), (100, 50)]
    assert {task.publishers for task in tasks} == {9}


def test_who_sends_does_not_expect_itself() -> None:
    task = Task("hearth", LINK, 0, 4, 3, "everybody")
    assert (task.expected(0), task.expected(3)) == (4, 6)
    assert Task("hearth", LINK, 0, 4, 3, "quiet").expected(3) == 3


def test_every_scenario_is_whole() -> None:
    assert {"quiet", "everybody", "join-storm", "speaker-ping-pong"} <= set(SCENARIOS)
    for scenario in SCENARIOS.values():
        assert scenario.words
        assert scenario.streams == (2 if scenario.video_bitrate else 1)
    assert SCENARIOS["quiet"].video_bitrate == 0
    assert SCENARIOS["join-storm"].joins_per_second is None
    assert SCENARIOS["forwarding"].frame_bytes == 6250


def test_speakers_take_turns() -> None:
    turns = Scenario("", turn_seconds=2.0)
    assert [turns.speaker(second, 5) for second in (0.0, 1.9, 2.0, 4.1)] == [0, 0, 1, 0]
    assert turns.speaker(3.0, 1) == 0
    assert SCENARIOS["quiet"].speaker(3.0, 5) == 0


def test_the_announced_speakers_are_judged() -> None:
    assert turn_complaints(["load-0", None, "load-1", "load-0"], 8.0, 2.0) == []
    assert "load-2" in turn_complaints(["load-0", "load-2", "load-0", "load-1"], 6.0, 2.0)[0]
    assert "changed 0 times" in turn_complaints(["load-0"], 10.0, 2.0)[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--members", "0"], "Take 1 to"),
        (["--members", "2", "--publishers", "3"], "no more publishers"),
        (["--seconds", "0"], "more than 0"),
        (["--members", "90"], "take 63 publishers"),
        (["--members", "11"], "take 10 publishers"),
    ],
)
def test_a_wrong_command_is_answered(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = Invitation("127.0.0.1", 9, new_token(), "k7m2nqrx4p").link
    assert command.main(["--join", link, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_wrong_link_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--join", "nonsense"]) == 2
    assert capsys.readouterr().err.strip()
