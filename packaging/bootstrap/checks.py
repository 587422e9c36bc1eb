"""`run.py test`: every check of the house, each with a line, the tests last."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bootstrap.progress import say

#: Rooms that mypy reads, in the checkout.
TYPED = ("run.py", "packaging/bootstrap", "rtc", "models", "server_lite", "client", "bench", "tests")

#: Of a check that fails, how many lines are shown; more hides the other checks.
SHOWN_LINES = 60


def steps(root: Path, python: Path) -> list[tuple[str, list[str]]]:
    """(name, command) of each check before the tests."""
    scripts = python.parent
    found: list[tuple[str, list[str]]] = [
        ("ruff check", [str(python), "-m", "ruff", "check", "--output-format=concise", "."]),
        ("ruff format", [str(python), "-m", "ruff", "format", "--check", "."]),
        ("mypy", [str(python), "-m", "mypy", *(room for room in TYPED if (root / room).exists())]),
        ("import rings", [str(python), "-c", "from importlinter.cli import lint_imports_command as c; c()"]),
    ]
    qml = sorted(str(path.relative_to(root)) for path in (root / "qml").rglob("*.qml"))
    qmllint = scripts / ("pyside6-qmllint.exe" if os.name == "nt" else "pyside6-qmllint")
    if qml and qmllint.exists():
        found.append(("qmllint", [str(qmllint), "-I", "qml", *qml]))
    return found


def run_checks(root: Path, python: Path, environment: dict[str, str], arguments: list[str]) -> int:
    """Run everything, print each step, and end with pytest's closing line. The exit code is 0 or not."""
    failed: list[str] = []
    for name, command in steps(root, python):
        started = time.monotonic()
        say(f"{name} ...")
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            failed.append(name)
            lines = done.stdout.rstrip().splitlines()
            if len(lines) > SHOWN_LINES:
                say(f"({len(lines) - SHOWN_LINES} lines before these)")
            say("\n".join(lines[-SHOWN_LINES:]))
        say(f"{name}: {'failed' if done.returncode else 'ok'} after {time.monotonic() - started:.0f} s")
    say("pytest ...")
    tests = subprocess.run(
        [str(python), "-m", "pytest", *arguments],
        cwd=root,
        env={**environment, "HEARTH_FAILED_CHECKS": ", ".join(failed)},
        stdin=subprocess.DEVNULL,
    )
    return tests.returncode or (1 if failed else 0)
