"""Scenarios, how a load is shared, and what its merged report complains of."""

from __future__ import annotations

from typing import Any

import pytest

from bench.loadbot import __main__ as command
from bench.loadbot.crew import merge, share
from bench.loadbot.findings import Findings
from bench.loadbot.scenarios import LARGE, SCENARIOS, Scenario
from bench.loadbot.verdicts import turn_complaints
from bench.loadbot.worker import Task
from rtc.invitation import Invitation, new_token

LINK = "http://127.0.0.1:8443/join/k7m2nqrx4p#AAAAAAAAAAAAAAAA"


def report(**changes: Any) -> dict[str, Any]:
    """Of a worker to which nothing bad happened."""
    findings = {"streams": 2, "packets": 10, "frames": 8}
    named = Findings.__dataclass_fields__
    findings |= {name: changes.pop(name) for name in list(changes) if name in named}
    whole = {
        "findings": findings,
        "troubled": {},
        "delays": {"10": 8},
        "coming": {"lost": 0, "repaired": 0},
        "strangers": 0,
        "expected_streams": 2,
        "joins": [0.2],
        "speakers": ["load-0"],
        "lowered": 0,
        "layers": [],
        "handshakes": 1,
        "cpu": 0.2,
        "cpu_us_per_packet": 3.0,
        "failures": [],
        "packets": 10,
        "sent": 5,
    }
    return whole | changes


def merged(*reports: dict[str, Any], scenario: str = "everybody", publishers: int = 3) -> dict[str, Any]:
    return merge(reports, len(reports), scenario, publishers)


def test_a_good_load_has_no_complaints() -> None:
    found = merged(report(), report(joins=[0.4]))
    assert found["complaints"] == []
    assert (found["packets"], found["sent"], found["streams"]) == (20, 10, {"expected": 4, "seen": 4})
    assert found["forward_delay_ms"] == {"count": 16, "p50": 1.1, "p99": 1.1, "max": 1.1}
    assert found["join_ms"]["p99"] == 400.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lost": 3}, "3 packets were lost."),
        ({"repaired": 3}, "3 packets were lost and had to be sent again."),
        ({"wrong_sender": 1}, "1 frames came from another sender"),
        ({"undecodable_frames": 2}, "2 pictures came without what they refer to."),
        ({"bad_switches": 1}, "not at a key frame"),
        ({"picture_id_jumps": 1}, "did not go on"),
        ({"clock_jumps": 1}, "the sender's clock"),
        ({"streams": 1}, "1 streams came instead of 2."),
        ({"joins": []}, "Only 0 of 1 members could join."),
        ({"failures": ["The server refused."]}, "The server refused."),
        ({"cpu": 0.97}, "short of CPU"),
        ({"frames": 0}, "No whole frame came."),
    ],
)
def test_each_fault_has_its_sentence(changes: dict[str, Any], words: str) -> None:
    found = merged(report(**changes))["complaints"]
    assert any(words in sentence for sentence in found), found


@pytest.mark.parametrize("name", ["probes", "thinned_frames", "paused_frames", "longest_gap_ms"])
def test_what_a_server_may_do_is_no_fault(name: str) -> None:
    assert merged(report(**{name: 5}))["complaints"] == []


def test_in_a_large_room_more_may_have_been_heard_before_it_was_large() -> None:
    assert merged(report(streams=3), publishers=30)["complaints"] == []
    assert "3 streams came instead of 2." in merged(report(streams=3))["complaints"]
    assert "1 streams came instead of 2." in merged(report(streams=1), publishers=30)["complaints"]


def test_the_worst_of_times_and_the_sums_of_counts() -> None:
    found = merged(report(longest_gap_ms=30.0, lost=1), report(longest_gap_ms=90.0, lost=2))
    assert (found["longest_gap_ms"], found["lost"]) == (90.0, 3)


def test_what_was_lost_before_all_were_there_is_told_apart() -> None:
    before = Findings(packets=10, lost=2, repaired=1, malformed=1, longest_gap_ms=30.0)
    now = Findings(packets=50, lost=5, repaired=1, malformed=1, longest_gap_ms=40.0)
    since = now.since(before)
    assert (since.packets, since.lost, since.repaired, since.malformed) == (50, 3, 0, 1)
    found = merged(report(coming={"lost": 2, "repaired": 1}))
    assert found["while_joining"] == {"lost": 2, "repaired": 1}
    assert found["complaints"] == []


def test_a_load_is_shared_by_processes_of_nearly_equal_size() -> None:
    tasks = share("hearth", LINK, 150, 9, "everybody")
    assert [(task.first, task.members) for task in tasks] == [(0, 50), (50, 50), (100, 50)]
    assert {(task.publishers, task.total) for task in tasks} == {(9, 150)}


def test_who_sends_does_not_expect_itself() -> None:
    task = Task("hearth", LINK, 0, 4, 3, "everybody", 4)
    assert (task.expected(0), task.expected(3)) == (4, 6)
    assert Task("hearth", LINK, 0, 4, 3, "quiet", 4).expected(3) == 3


def test_in_large_rooms_those_who_talk_are_expected() -> None:
    conference = SCENARIOS["conference"]
    assert conference.talking(100) == {0, 1, 2}
    assert [conference.expected(number, 100) for number in (0, 5, 50)] == [9 + 2, 9 + 3, 10 + 3]
    assert conference.sections(100) == 13
    everybody = SCENARIOS["everybody"]
    assert [everybody.heard(number, 12) for number in (0, 5)] == [0, 1]
    assert SCENARIOS["speaker-ping-pong"].heard(5, 12) == 2
    assert everybody.heard(5, 10) == 9


def test_who_sends_all_layers() -> None:
    conference = SCENARIOS["conference"]
    assert [len(conference.encodings(number)) for number in (0, 1, 2, 99)] == [3, 3, 1, 1]
    assert SCENARIOS["quiet"].encodings(0) == ()


def test_every_scenario_is_whole() -> None:
    named = {
        "quiet",
        "everybody",
        "join-storm",
        "speaker-ping-pong",
        "loss5",
        "slow-receiver",
        "wifi-to-cable",
    }
    assert named <= set(SCENARIOS)
    for scenario in SCENARIOS.values():
        assert scenario.words
        assert scenario.tolerated <= set(Findings.__dataclass_fields__)
    assert SCENARIOS["quiet"].camera is None
    assert SCENARIOS["join-storm"].joins_per_second is None
    assert LARGE.frame_bytes == 6250


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
        (["--members", "90"], "would receive 180 streams"),
        (["--scenario", "slow-receiver"], "takes 18 seconds at least"),
        (["--scenario", "loss5", "--seconds", "4"], "takes 6 seconds at least"),
        (["--scenario", "wifi-to-cable", "--members", "1"], "takes 2 members at least"),
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
