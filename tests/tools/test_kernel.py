"""The forwarding kernel at set-up: built when it is old, a sentence where it cannot be, a stop for `test`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bootstrap import kernel
from bootstrap.environment import Environment
from bootstrap.installer import SetupError

from rtc._fanout import build

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel is for Linux")

FAILS = "import sys\nsys.exit('The C compiler failed.')\n"
WORKS = "open('built', 'a').write('x')\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A checkout whose kernel is not built."""
    monkeypatch.setattr(build, "is_current", lambda: False)
    monkeypatch.setattr(build, "why_not", lambda: "")
    environment = Environment(tmp_path, tmp_path / "venv")
    environment.python.parent.mkdir(parents=True)
    os.symlink(sys.executable, environment.python)
    (tmp_path / "rtc" / "_fanout").mkdir(parents=True)
    for package in (tmp_path / "rtc", tmp_path / "rtc" / "_fanout"):
        (package / "__init__.py").touch()  # else one on PYTHONPATH would be found before it
    return environment


def builds(checkout: Environment, program: str) -> None:
    (checkout.root / "rtc" / "_fanout" / "build.py").write_text(program)


def test_what_is_current_is_left_alone(checkout: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "is_current", lambda: True)
    builds(checkout, WORKS)
    kernel.provide(checkout, "test")
    assert not (checkout.root / "built").exists()


def test_an_old_one_is_built_before_anything_starts(
    checkout: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    builds(checkout, WORKS)
    kernel.provide(checkout, "desktop")
    assert (checkout.root / "built").read_text() == "x"
    assert "Building the forwarding kernel: done" in capsys.readouterr().out


def test_a_build_that_fails_stops_the_tests_and_nobody_else(
    checkout: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    builds(checkout, FAILS)
    kernel.provide(checkout, "serve")
    said = capsys.readouterr()
    assert "The C compiler failed." in said.err
    assert "forwarded in Python" in said.out
    with pytest.raises(SetupError, match="The C compiler failed"):
        kernel.provide(checkout, "test")


def test_what_failed_is_not_tried_at_every_start(checkout: Environment) -> None:
    builds(checkout, FAILS)
    kernel.provide(checkout, "desktop")
    builds(checkout, WORKS)
    kernel.provide(checkout, "desktop")  # the sources that count are the real ones, and those are the same
    assert not (checkout.root / "built").exists()
    kernel.provide(checkout, "test")
    assert (checkout.root / "built").exists()
    (checkout.root / "built").unlink()
    kernel.provide(checkout, "desktop")
    assert (checkout.root / "built").exists()


@pytest.mark.parametrize(("verb", "told"), [("serve", True), ("bench", True), ("desktop", False)])
def test_without_a_compiler_those_who_forward_are_told(
    checkout: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    told: bool,
) -> None:
    monkeypatch.setattr(build, "why_not", lambda: "There is no C compiler.")
    kernel.provide(checkout, verb)
    assert ("There is no C compiler." in capsys.readouterr().out) is told
    with pytest.raises(SetupError, match="no C compiler"):
        kernel.provide(checkout, "test")
