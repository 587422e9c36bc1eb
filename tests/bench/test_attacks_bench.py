"""The bench attacks: its rows, what the attackers send, and one attack on a real server."""

from __future__ import annotations

import itertools

import pytest

from bench import attacks
from bench.__main__ import BENCHES
from bench.attackers import forged_media, lying_reports
from bench.attacks import NOBODY, Sample, merged, rows_of
from bench.result import Result, complaints
from rtc.errors import PacketError
from rtc.rtcp import parse_compound

CALM = Sample(0, 0.0, 0.03, 0, 1.0)


def test_an_attack_stands_beside_the_meeting_without_one() -> None:
    rows = rows_of("flood", Sample(1000, 3.456, 0.06, 2, 4.0), CALM)
    assert [(r.case, r.metric, r.unit, r.hearth, r.peer_name, r.peer) for r in rows] == [
        ("flood", "server_cpu_us_per_attack_packet", "us", 3.46, None, None),
        ("flood", "attack_packets", "packets", 1000, None, None),
        ("flood", "server_cores", "cores", 0.06, NOBODY, 0.03),
        ("flood", "bystander_lost_packets", "packets", 2, NOBODY, 0),
        ("flood", "bystander_delay_ms_p99", "ms", 4.0, NOBODY, 1.0),
    ]
    assert complaints(Result("attacks", rows, {"a": 1}).to_dict()) == []


def test_the_meeting_without_an_attack_stands_alone() -> None:
    rows = rows_of(NOBODY, CALM, CALM)
    assert {row.metric: row.hearth for row in rows} == {
        "server_cores": 0.03,
        "bystander_lost_packets": 0,
        "bystander_delay_ms_p99": 1.0,
    }
    assert all(row.peer_name is None for row in rows)


def test_no_delay_gives_no_row() -> None:
    rows = rows_of("flood", Sample(5, 1.0, 0.1, 0, None), CALM)
    assert "bystander_delay_ms_p99" not in {row.metric for row in rows}


def test_the_best_cpu_and_delay_count_and_the_worst_loss() -> None:
    samples = [Sample(10, 5.0, 0.2, 3, 9.0, ("b",)), Sample(20, 4.0, 0.3, 0, 2.0, ("a", "b"))]
    assert merged(samples) == Sample(20, 4.0, 0.2, 3, 2.0, ("a", "b"))


def test_every_lie_of_the_attackers_is_one() -> None:
    for lie in lying_reports(1, 2):
        with pytest.raises(PacketError):
            parse_compound(lie)


def test_forged_media_looks_like_media() -> None:
    found = list(itertools.islice(forged_media(1), 200))
    assert {128, 144, 22} <= {data[0] for data in found}
    assert all(20 <= len(data) <= 1300 for data in found)


def test_one_attack_of_a_stranger_and_one_of_a_member() -> None:
    """Small numbers of a real server; what they are is for the bench."""
    names = ["replayed-srtp", "nacks-everything"]
    result = attacks.run(names, calm=0.3, attacked=0.8, rounds=1).to_dict()
    assert complaints(result) == []
    rows = {(row["case"], row["metric"]): row["hearth"] for row in result["rows"]}
    assert {case for case, _ in rows} == {NOBODY, *names}
    for name in names:
        assert rows[name, "attack_packets"] > 20
        assert rows[name, "server_cores"] > 0
        assert rows[name, "bystander_lost_packets"] == 0


def test_an_attack_that_nobody_knows() -> None:
    with pytest.raises(RuntimeError, match="replayed-srtp"):
        attacks.run(["made-up"], calm=0.1, attacked=0.1, rounds=1)


def test_the_bench_can_be_asked_for() -> None:
    assert BENCHES["attacks"][0] == "bench.attacks"
