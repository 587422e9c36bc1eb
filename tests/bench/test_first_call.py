"""The rows of the first-call bench, made of reports as members give them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.first_call import _rows
from bench.result import Result, complaints


def report(join: float | None, p50: float | None) -> dict[str, Any]:
    delays = None if p50 is None else {"p50": p50, "p99": 2 * p50}
    return {"join_to_first_frame_ms": join, "glass_to_glass_ms": delays}


def rows_by_metric(rows: list[Any]) -> dict[str, Any]:
    return {row.metric: row for row in rows}


def test_rows_with_a_peer() -> None:
    rows = _rows(
        "2 members",
        [report(200.0, 30.0), report(400.0, 50.0)],
        {"server": 6.0, "member-1": 10.0, "member-2": 12.0},
        [report(600.0, 80.0), report(600.0, 80.0)],
        {"offer": 20.0, "answer": 24.0},
    )
    found = rows_by_metric(rows)
    assert (found["join to first frame"].hearth, found["join to first frame"].ratio) == (300.0, 0.5)
    assert found["pixel to pixel p99"].hearth == 80.0
    assert (found["CPU of a client per minute"].hearth, found["CPU of a client per minute"].peer) == (
        11.0,
        22.0,
    )
    assert found["CPU of all clients and server per minute"].hearth == 28.0
    assert found["CPU of all clients and server per minute"].peer == 44.0
    assert (found["CPU of the server per minute"].hearth, found["CPU of the server per minute"].peer) == (
        6.0,
        None,
    )
    assert complaints(Result("first-call", rows, {"a": 1}).to_dict()) == []


@pytest.mark.parametrize("theirs", [(), (report(None, None),)])
def test_what_nobody_measured_is_left_out(theirs: tuple[dict[str, Any], ...]) -> None:
    rows = _rows("4 members", [report(None, None)], {"server": 6.0, "member-1": 10.0}, theirs)
    assert "join to first frame" not in rows_by_metric(rows)
    assert complaints(Result("first-call", rows, {"a": 1}).to_dict()) == []
