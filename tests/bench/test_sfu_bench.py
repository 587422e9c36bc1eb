"""The bench sfu: its rows, and small numbers of a real server."""

from __future__ import annotations

import os

import psutil
import pytest

from bench import __main__ as command
from bench import floor, sfu, sfu_limits
from bench.cpu_meter import cpu_seconds
from bench.result import Result, complaints
from bench.sfu import LARGE, Options, cases, notes_of, rows_of
from bench.sfu_servers import Case, Sample


def test_a_case_of_one_publisher_has_a_row_for_each_peer() -> None:
    samples = {
        "hearth": [Sample(10.0), Sample(8.0)],
        "janus": [Sample(30.0), Sample(40.0)],
        "floor": [Sample(3.0), Sample(2.0)],
    }
    rows = rows_of(Case("receivers=50", 51, 1), samples)
    assert [(r.case, r.metric, r.unit, r.hearth, r.peer_name, r.peer, r.ratio) for r in rows] == [
        ("receivers=50", "cpu_us_per_forwarded_packet", "us", 8.0, "janus", 30.0, 0.2667),
        ("receivers=50", "cpu_us_per_forwarded_packet", "us", 8.0, "floor", 2.0, 4.0),
    ]


def test_a_room_has_losses_and_delays_too_and_the_worst_counts() -> None:
    samples = {"hearth": [Sample(10.0, 0, 3.0), Sample(8.0, 2, 5.0)]}
    rows = rows_of(Case("room=10", 10, 10), samples)
    assert {row.metric: row.hearth for row in rows} == {
        "cpu_us_per_forwarded_packet": 8.0,
        "lost_packets": 2,
        "forward_delay_ms_p99": 5.0,
    }
    assert complaints(Result("sfu", rows, {"a": 1}).to_dict()) == []


def test_the_large_room_has_memory_too() -> None:
    rows = rows_of(LARGE, {"hearth": [Sample(4.0, 0, 9.0, memory_growth_mb=1.234)]})
    assert {(row.case, row.metric): row.hearth for row in rows} == {
        ("room=100", "cpu_us_per_forwarded_packet"): 4.0,
        ("room=100", "lost_packets"): 0,
        ("room=100", "forward_delay_ms_p99"): 9.0,
        ("room=100", "server_memory_growth_mb"): 1.23,
    }


def test_the_cases_are_those_promised() -> None:
    names = [case.name for case in cases()]
    assert names == ["receivers=1", "receivers=10", "receivers=20", "receivers=50", "room=10", "room=100"]
    one = cases()[3]
    tasks = one.tasks("hearth", "link")
    assert [(task.first, task.members, task.publishers) for task in tasks] == [(0, 1, 1), (1, 50, 1)]
    assert [task.members for task in LARGE.tasks("hearth", "link")] == [50, 50]


def test_what_members_complained_of_is_told() -> None:
    samples = {
        "hearth": [Sample(1.0, complaints=("3 packets were lost.",)), Sample(1.0, lowered=2)],
        "floor": [Sample(1.0)],
    }
    assert notes_of(Case("room=10", 10, 10), samples) == [
        "room=10 hearth: 3 packets were lost. The server left out or lowered 2 pictures because of its load."
    ]


def test_the_limits_are_rows_and_their_reasons_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sfu_limits, "largest_room", lambda: sfu_limits.Limit(80, "no more are let in"))
    monkeypatch.setattr(
        sfu_limits, "rooms_of_4", lambda: sfu_limits.Limit(12, "the server leaves out pictures")
    )
    result = sfu.run([], Options(limits=True), chosen=[]).to_dict()
    assert [(row["case"], row["hearth"]) for row in result["rows"]] == [
        ("largest_room", 80),
        ("rooms_of_4", 12),
    ]
    assert "rooms_of_4 is 12: the server leaves out pictures." in result["conditions"]["notes"]
    assert complaints(result) == []


def test_unknown_peers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["sfu", "--peers", "nobody"]) == 1
    assert "Known peers are janus, python-twin" in capsys.readouterr().err
    assert command.main(["packets", "--peers", "janus"]) == 2
    assert command.main(["packets", "--limits"]) == 2
    assert command.main(["sfu", "--minutes", "90"]) == 2


def test_cpu_time_is_that_of_the_process() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(2_000_000))
    spent = cpu_seconds(os.getpid()) - before
    assert 0.0 < spent < 20.0
    with pytest.raises(psutil.Error):
        cpu_seconds(2**22 + 1)


def test_small_numbers_of_a_real_server() -> None:
    chosen = [Case("receivers=2", 3, 1), Case("room=3", 3, 3)]
    result = sfu.run([], measured=1.0, rounds=1, chosen=chosen).to_dict()
    assert complaints(result) == []
    rows = {(row["case"], row["metric"]): row for row in result["rows"]}
    assert list(rows) == [
        ("receivers=2", "cpu_us_per_forwarded_packet"),
        ("room=3", "cpu_us_per_forwarded_packet"),
        ("room=3", "lost_packets"),
        ("room=3", "forward_delay_ms_p99"),
    ]
    first = rows["receivers=2", "cpu_us_per_forwarded_packet"]
    assert 1.0 < first["hearth"] < 5000.0
    if floor.missing():
        assert first["peer_name"] is None
    else:
        assert first["peer_name"] == "floor"
        # Whoever decides, decrypts and rewrites cannot be below the floor.
        assert first["hearth"] > first["peer"] > 0.1
