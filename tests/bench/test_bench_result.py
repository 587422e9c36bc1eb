"""Every bench gives the same form, as JSON and as a table, and a wrong form is refused."""

from __future__ import annotations

import copy
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench.result import Result, Row, complaints, table

ROWS = [
    Row("two members", "join to first frame", "ms", 412.5, "aiortc", 825.0),
    Row("four members", "server CPU per minute", "s", 21.0),
]


def good() -> dict[str, Any]:
    return Result("first-call", ROWS, {"size": "640x360"}).to_dict()


def test_the_form_is_as_promised() -> None:
    result = good()
    assert complaints(result) == []
    assert set(result) == {"name", "conditions", "rows"}
    assert result["rows"][0] == {
        "case": "two members",
        "metric": "join to first frame",
        "unit": "ms",
        "hearth": 412.5,
        "peer_name": "aiortc",
        "peer": 825.0,
        "ratio": 0.5,
    }
    assert result["rows"][1]["ratio"] is None
    assert result["conditions"]["size"] == "640x360"
    assert result["conditions"]["cpu_cores"] >= 1


def test_a_peer_of_zero_has_no_ratio() -> None:
    assert Row("c", "m", "s", 1.0, "aiortc", 0.0).ratio is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: r.pop("rows"), "exactly the fields"),
        (lambda r: r.update(rows=[]), "not empty"),
        (lambda r: r.update(conditions={}), "conditions"),
        (lambda r: r["rows"][0].pop("unit"), "row 1: a row has exactly"),
        (lambda r: r["rows"][1].update(hearth="fast"), "row 2: hearth must not be 'fast'"),
        (lambda r: r["rows"][1].update(hearth=True), "row 2: hearth must not be True"),
        (lambda r: r["rows"][0].update(peer=None), "peer and peer_name"),
        (lambda r: r["rows"][1].update(ratio=2.0), "a ratio needs a peer"),
    ],
)
def test_a_wrong_form_is_named(spoil: Any, words: str) -> None:
    result = copy.deepcopy(good())
    spoil(result)
    assert any(words in text for text in complaints(result)), complaints(result)


def test_the_table_shows_every_row_and_condition() -> None:
    lines = table(good()).splitlines()
    assert "size=640x360" in lines[0]
    assert len(lines) == 3 + len(ROWS)
    assert lines[3].split() == [
        "two",
        "members",
        "join",
        "to",
        "first",
        "frame",
        "ms",
        "412.5",
        "825",
        "aiortc",
        "0.5",
    ]
    assert lines[4].endswith("-")


def stand_in(monkeypatch: pytest.MonkeyPatch, outcome: object) -> dict[str, tuple[str, str]]:
    module = types.ModuleType("bench.stand_in")
    module.run = lambda: outcome  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bench.stand_in", module)
    benches = {"stand-in": ("bench.stand_in", "nothing")}
    monkeypatch.setattr(command, "BENCHES", benches)
    return benches


@pytest.mark.parametrize("as_dict", [False, True])
def test_the_command_prints_and_writes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_dict: bool
) -> None:
    outcome = Result("stand-in", ROWS, {"size": "640x360"})
    benches = stand_in(monkeypatch, outcome.to_dict() if as_dict else outcome)
    path = tmp_path / "out.json"
    assert command.main(["stand-in", "--json", str(path)], benches) == 0
    written = json.loads(path.read_text())
    assert complaints(written) == []
    assert capsys.readouterr().out.strip() == table(written)


def test_a_bench_in_a_wrong_form_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benches = stand_in(monkeypatch, {"name": "stand-in", "conditions": {"a": 1}, "rows": []})
    assert command.main(["stand-in", "--json", str(tmp_path / "out.json")], benches) == 1
    assert "wrong form" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_without_a_name_the_benches_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 2
    assert "first-call" in capsys.readouterr().out
