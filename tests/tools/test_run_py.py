"""run.py: its verbs, its refusals, and a warm start that does nothing but hand over."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bootstrap import checks, command, system
from bootstrap.environment import Environment
from bootstrap.installer import SetupError

ROOT = Path(__file__).parents[2]


class HandedOverError(Exception):
    """Stands for execve: nothing after it happens."""


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Everything is set up; starting any other process is an error. Collects what is executed."""
    executed: list[Any] = []

    def execve(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        executed.append(SimpleNamespace(path=path, arguments=arguments, environment=environment))
        raise HandedOverError

    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError(f"a warm start ran something: {arguments}")

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    monkeypatch.setattr(Environment, "ready", lambda self, layers: True)
    monkeypatch.setattr(system, "lacking", lambda *arguments, **options: {})
    monkeypatch.setattr(command, "display_problem", lambda environment: "")
    return executed


def test_parses_on_pythons_that_it_refuses() -> None:
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 4))


def test_an_old_python_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import run

    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert run.main() == 2
    assert "needs Python 3.11 or newer, and this is 3.9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "module", "rest"),
    [
        ([], "client.app.desktop", []),
        (["--join", "http://h/join/r#t"], "client.app.desktop", ["--join", "http://h/join/r#t"]),
        (["serve", "--port", "0"], "server_lite", ["--port", "0"]),
        (["demo", "--seconds", "20"], "client.app.demo", ["--seconds", "20"]),
        (["bench", "first-call"], "bench", ["first-call"]),
        (["doctor"], "client.app.doctor", []),
    ],
)
def test_a_warm_start_only_hands_over(
    warm: list[Any], typed: list[str], module: str, rest: list[str]
) -> None:
    with pytest.raises(HandedOverError):
        command.main(typed, str(ROOT))
    (done,) = warm
    assert done.arguments[1:] == ["-P", "-m", module, *rest]
    assert done.environment["PYTHONPATH"] == str(ROOT)


def test_without_a_display_it_says_so_and_serves(
    warm: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "display_problem", lambda environment: "There is none.")
    with pytest.raises(HandedOverError):
        command.main([], str(ROOT))
    assert warm[0].arguments[2:] == ["-m", "server_lite"]
    assert "No display" in capsys.readouterr().out


def test_help_and_an_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"], str(ROOT)) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("serve", "demo", "test", "bench NAME", "doctor"))
    assert command.main(["dance"], str(ROOT)) == 2
    assert '"dance"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(system.LackingError("no"), 3), (SetupError("no"), 1), (KeyboardInterrupt(), 130)]
)
def test_each_failure_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*arguments: object) -> int:
        raise error

    monkeypatch.setattr(command, "start", fail)
    assert command.main(["serve"], str(ROOT)) == code


def test_checks_name_what_failed_and_keep_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    python = Path(sys.executable)
    good, bad = [sys.executable, "-c", "pass"], [sys.executable, "-c", "raise SystemExit('untidy')"]
    monkeypatch.setattr(checks, "steps", lambda root, python: [("good", good), ("bad", bad)])
    (tmp_path / "pytest.py").write_text("import os; print('failed:', os.environ['HEARTH_FAILED_CHECKS'])")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert checks.run_checks(tmp_path, python, environment, []) == 1
    shown = capfd.readouterr().out.splitlines()
    assert "untidy" in shown
    assert shown[-1] == "failed: bad"
    monkeypatch.setattr(checks, "steps", lambda root, python: [("good", good)])
    assert checks.run_checks(tmp_path, python, environment, []) == 0


def test_every_check_has_its_configuration() -> None:
    names = [name for name, _ in checks.steps(ROOT, Path(sys.executable))]
    assert names[:4] == ["ruff check", "ruff format", "mypy", "import rings"]
