"""The rows of the first-call bench, made of reports as members give them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.first_call import Round, _machine_seconds, _rows
from bench.result import Result, complaints


def report(join: float | None, p50: float | None) -> dict[str, Any]:
    delays = None if p50 is None else {"p50": p50, "p99": 2 * p50}
    return {"join_to_first_frame_ms": join, "glass_to_glass_ms": delays}


OURS = [
    Round([report(200.0, 30.0), report(400.0, 50.0)], {"server": 6.0, "a": 10.0, "b": 12.0}, 0.1),
    Round([report(None, 35.0), report(None, 35.0)], {"server": 7.0, "a": 20.0, "b": 20.0}, 1.5),
]
THEIRS = [Round([report(600.0, 80.0), report(600.0, 80.0)], {"offer": 20.0, "answer": 24.0}, 0.2)]


def test_each_number_is_the_best_of_its_rounds_beside_the_peer() -> None:
    rows = _rows("2 members", OURS, THEIRS)
    found = {row.metric: (row.hearth, row.peer, row.ratio) for row in rows}
    assert found == {
        "join to first frame": (300.0, 600.0, 0.5),
        "pixel to pixel p50": (35.0, 80.0, 0.4375),
        "pixel to pixel p99": (70.0, 160.0, 0.4375),
        "CPU of a client per minute": (11.0, 22.0, 0.5),
        "CPU of all clients and server per minute": (28.0, 44.0, 0.6364),
        "CPU of the server per minute": (6.0, None, None),
    }
    assert complaints(Result("first-call", rows, {"a": 1}).to_dict()) == []


@pytest.mark.parametrize("theirs", [[], [Round([report(None, None)], {"offer": 1.0}, 0.0)]])
def test_what_nobody_measured_is_left_out(theirs: list[Round]) -> None:
    ours = [Round([report(None, None)], {"server": 6.0, "a": 10.0}, 0.0)]
    rows = _rows("4 members", ours, theirs)
    assert "join to first frame" not in {row.metric for row in rows}
    assert complaints(Result("first-call", rows, {"a": 1}).to_dict()) == []


def test_the_machine_has_worked() -> None:
    assert _machine_seconds() > 0.0
