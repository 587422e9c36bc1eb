"""The demo's report has exactly the promised fields, and a meeting that went wrong does not pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from client.app.demo_report import (
    Person,
    failures,
    member_entry,
    parse_metrics,
    server_entry,
    summary_table,
)

PEOPLE = [
    Person("You", "desktop", 1, speaks=False),
    Person("Mei", "simulated", 11),
    Person("Tom", "simulated", 12),
]
METRICS = """
# HELP hearth_packets_in_total RTP packets received
# TYPE hearth_packets_in_total counter
hearth_packets_in_total{kind="video"} 900
hearth_packets_in_total{kind="audio"} 100.0
hearth_packets_out_total 3e3
hearth_decoders_opened_total 0
not a line { of metrics
"""


def report_of(person: Person) -> dict[str, Any]:
    sources = [
        {
            "name": other.name,
            "frames_shown": 300,
            "identities": {str(other.identity): 300},
            "audio_packets": 500 if other.speaks else 0,
        }
        for other in PEOPLE
        if other is not person
    ]
    return {
        "name": person.name,
        "frames_received": 600,
        "frames_shown": 600,
        "distinct_pictures": 598,
        "audio_packets": 500,
        "audio_level_dbfs": -24.5,
        "join_to_first_frame_ms": 321.0,
        "glass_to_glass_ms": {"p50": 40.0, "p99": 90.0},
        "sources": sources,
    }


@pytest.fixture
def reports() -> dict[str, Any]:
    return {person.name: report_of(person) for person in PEOPLE}


def test_the_report_has_exactly_the_promised_fields(reports: dict[str, Any]) -> None:
    entry = member_entry(PEOPLE[1], reports["Mei"], 3.2)
    assert list(entry) == [
        "name", "kind", "frames_received", "frames_shown", "distinct_pictures", "audio_packets",
        "audio_level_dbfs", "join_to_first_frame_ms", "glass_to_glass_ms", "cpu_seconds",
    ]  # fmt: skip
    assert (entry["kind"], entry["cpu_seconds"], entry["frames_shown"]) == ("simulated", 3.2, 600)
    assert server_entry(parse_metrics(METRICS), 4.5, 60_000_000) == {
        "packets_in": 1000,
        "packets_out": 3000,
        "decoders_opened": 0,
        "cpu_seconds": 4.5,
        "rss_bytes": 60_000_000,
    }


def test_what_was_not_counted_is_null() -> None:
    assert server_entry({}, 0.0, 0)["decoders_opened"] is None
    assert member_entry(PEOPLE[0], {}, 0.0)["frames_shown"] is None


def test_a_good_meeting_has_no_failures(reports: dict[str, Any]) -> None:
    assert failures(PEOPLE, reports) == []


def spoil_source(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda reports: reports["You"]["sources"][0].update(changes)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda r: r.pop("Tom"), "Tom gave no report"),
        (lambda r: r["Mei"].update(problem="The server is gone."), "Mei: The server is gone."),
        (lambda r: r["You"]["sources"].pop(0), "No picture was shown in You's tile of Mei."),
        (spoil_source(frames_shown=0), "No picture was shown in You's tile of Mei."),
        (spoil_source(identities={"11": 299, "12": 1}), "showed pictures of somebody else (mark 12)"),
        (spoil_source(identities={"12": 300}), "No mark of Mei could be read in the 300 pictures"),
        (spoil_source(identities={}), "No mark of Mei could be read in the 300 pictures"),
        (spoil_source(audio_packets=0), "You heard no sound of Mei."),
    ],
)
def test_what_went_wrong_is_said(
    reports: dict[str, Any], spoil: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    spoil(reports)
    assert any(sentence in text for text in failures(PEOPLE, reports)), failures(PEOPLE, reports)


def test_the_table_names_everybody_also_with_gaps(reports: dict[str, Any]) -> None:
    members = [member_entry(person, reports[person.name], 3.0) for person in PEOPLE]
    report = {"seconds": 20.0, "members": members, "server": server_entry(parse_metrics(METRICS), 1.0, 5)}
    lines = summary_table(report).splitlines()
    assert [line.split()[0] for line in lines] == ["member", "You", "Mei", "Tom", "server:"]
    assert lines[1].split()[1:3] == ["600", "30"]
    empty = copy.deepcopy(report)
    empty["members"] = [member_entry(person, {}, 0.0) for person in PEOPLE]
    assert summary_table(empty).splitlines()[1].split()[1] == "-"
    json.dumps(report)
