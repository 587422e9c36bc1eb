"""Makes environments and installs hashed packages: with uv where there is one, else with venv and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

from bootstrap.progress import Step

#: Settings of a person's shell that would send packages somewhere else.
UNWANTED = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")

#: Packages at least this large, in MB, get a line of their own where lines are not rewritten.
LARGE = 10.0


class SetupError(Exception):
    """Set-up could not go on; the text says why and what to do."""


class InstallError(SetupError):
    """Packages could not be installed. `touched` tells whether the environment was changed already."""

    def __init__(self, sentence: str, touched: bool) -> None:
        super().__init__(sentence)
        self.touched = touched


class Outcome(NamedTuple):
    """How a run of an installer ended."""

    code: int
    tail: str  # its last lines
    touched: bool  # it had begun to unpack


def make_environment(folder: Path, step: Step) -> None:
    """A virtual environment with pip in `folder`, which may exist. Raises SetupError."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "venv", "--seed", "--allow-existing", "--python", sys.executable, str(folder)]
        if _run(step, command).code == 0:
            return
        step.note("uv could not, trying venv")
    outcome = _run(step, [sys.executable, "-I", "-m", "venv", str(folder)])
    if outcome.code != 0:
        raise SetupError(
            f"The virtual environment could not be made in {folder}. Python said:\n{outcome.tail}"
        )


def install(python: Path, requirements: Path, step: Step) -> None:
    """Install a hashed requirement file into the environment of `python`. Raises InstallError."""
    touched = False
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(requirements)]
        outcome = _run(step, command)
        if outcome.code == 0:
            return
        touched = outcome.touched
        step.note("uv could not, trying pip")
    command = [str(python), "-I", "-u", "-m", "pip", "install", "--no-input", "--require-hashes"]
    # A source package would need a compiler, which a bare system lacks: better an early, clear end.
    command += ["--only-binary", ":all:", "--progress-bar", "off", "--disable-pip-version-check"]
    outcome = _run(step, [*command, "-r", str(requirements)])
    if outcome.code != 0:
        raise InstallError(explain(outcome.tail), touched or outcome.touched)


def starts(python: Path) -> bool:
    """Whether the interpreter runs, is new enough and has pip."""
    probe = [str(python), "-I", "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def explain(tail: str) -> str:
    """pip's last words with a sentence about the most likely cause."""
    if re.search(r"NewConnectionError|ConnectTimeout|Temporary failure|Name or service|NameResolution", tail):
        return "Packages must be fetched, and the network could not be reached. Connect and start again."
    if "CERTIFICATE_VERIFY_FAILED" in tail:
        return (
            "The package index shows a certificate that this machine does not trust. Behind a proxy, "
            "set PIP_CERT to the proxy's certificate, then start again."
        )
    if "No space left" in tail:
        return "The disk is full. Hearth needs about 1.5 GB; make room and start again."
    return f"Packages could not be installed. Start again, or see what pip said:\n{tail}"


def _run(step: Step, command: list[str]) -> Outcome:
    """Run an installer with a line of progress."""
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    tail: deque[str] = deque(maxlen=15)
    found, touched = 0, False
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        close_fds=False,  # the installer holds the lock as well: see environment._only_one
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            tail.append(text.rstrip())
            if told := re.match(r"Collecting ([\w.-]+)", text):
                found += 1
                step.at(f"{found} found, {told.group(1)}")
            elif told := re.match(r"\s*Downloading (\S+) \(([\d.]+) ?(?:MB|MiB)\)", text):
                show = step.note if float(told.group(2)) >= LARGE else step.at
                show(f"fetching {told.group(1)} ({told.group(2)} MB)")
            elif text.startswith(("Installing collected", "Prepared")):
                touched = True
                step.at("unpacking")
    return Outcome(process.returncode, "\n".join(tail), touched)
