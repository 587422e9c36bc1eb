"""The console command `hearth`: the same verbs, each handed to its module."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.app import cli


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was started instead of starting it."""
    seen: list[Any] = []

    def load(name: str) -> SimpleNamespace:
        def note(arguments: list[str]) -> int:
            seen.append((name, arguments))
            return 0

        return SimpleNamespace(main=note)

    def run(command: list[str]) -> int:
        seen.append(command)
        return 0

    monkeypatch.setattr("importlib.import_module", load)
    monkeypatch.setattr(cli, "_run", run)
    monkeypatch.setattr(cli, "display_problem", lambda environment: "")
    return seen


@pytest.mark.parametrize(
    ("typed", "module", "rest"),
    [
        ([], "client.app.desktop", []),
        (["--name", "Mei"], "client.app.desktop", ["--name", "Mei"]),
        (["demo", "--seconds", "5"], "client.app.demo", ["--seconds", "5"]),
        (["doctor"], "client.app.doctor", []),
    ],
)
def test_verbs_reach_their_modules(calls: list[Any], typed: list[str], module: str, rest: list[str]) -> None:
    assert cli.main(typed) == 0
    assert calls == [(module, rest)]


def test_the_server_is_a_program_of_its_own(calls: list[Any]) -> None:
    assert cli.main(["serve", "--port", "0"]) == 0
    assert calls == [[sys.executable, "-P", "-m", "server_lite", "--port", "0"]]


def test_without_a_display_it_serves(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "display_problem", lambda environment: "There is none.")
    assert cli.main([]) == 0
    assert calls[0][2:] == ["-m", "server_lite"]
    assert "No display" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["test", "bench"])
def test_verbs_of_a_checkout(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert cli.main([verb, "x"]) == 0
    assert calls[0][1:] == [str(Path(cli.__file__).parents[2] / "run.py"), verb, "x"]
    monkeypatch.setattr(cli, "checkout", lambda: None)
    assert cli.main([verb, "x"]) == 2
    assert "checkout" in capsys.readouterr().err


def test_help_and_an_unknown_verb(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-h"]) == 0
    assert "hearth serve" in capsys.readouterr().out
    assert cli.main(["dance"]) == 2
    assert '"dance"' in capsys.readouterr().err
    assert calls == []
