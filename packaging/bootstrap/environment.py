"""The virtual environment: made once, kept by the hash of its requirement files, mended when half made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.progress import Step, say

STAMP = "hearth-setup.json"

#: The requirement files of each layer, and what a person calls it.
LAYERS: dict[str, tuple[tuple[str, ...], str]] = {
    "app": (("pip.txt", "app.txt"), "the program's packages"),
    "test": (("test.txt",), "the test tools"),
}

#: Settings of a person's shell that would send packages somewhere else.
UNWANTED = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")


class SetupError(Exception):
    """Set-up could not go on; the text says why and what to do."""


@dataclass(frozen=True)
class Environment:
    """The folder that holds Hearth's Python packages, for the checkout at `root`."""

    root: Path
    folder: Path

    @classmethod
    def of(cls, root: Path) -> Environment:
        """`.venv` in the checkout, or `venv` below HEARTH_HOME."""
        home = os.environ.get("HEARTH_HOME")
        return cls(root, Path(home).expanduser().absolute() / "venv" if home else root / ".venv")

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def fingerprint(self, layer: str) -> str:
        """A hash over the requirement files of `layer`."""
        digest = hashlib.sha256()
        for name in LAYERS[layer][0]:
            digest.update((self.root / "requirements" / name).read_bytes())
        return digest.hexdigest()

    def stamp(self) -> dict[str, Any] | None:
        """What set-up wrote last, or None where it never did. {} when it cannot be read."""
        try:
            told = json.loads((self.folder / STAMP).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def ready(self, layers: tuple[str, ...]) -> bool:
        """Whether nothing is left to do for `layers`. Cheap: it is asked at every start."""
        stamp = self.stamp()
        if not stamp or stamp.get("working") or stamp.get("folder") != str(self.folder):
            return False
        done = stamp.get("layers", {})
        return self.python.exists() and all(done.get(name) == self.fingerprint(name) for name in layers)

    def prepare(self, layers: tuple[str, ...]) -> None:
        """Bring the environment to where `layers` are installed. Raises SetupError."""
        if self.ready(layers):
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(self.folder.with_name(self.folder.name + ".lock")):
            if self.ready(layers):
                return
            self._clear_if_broken()
            if not self.python.exists():
                self._create()
            stamp = self.stamp() or {}
            done = dict(stamp.get("layers", {}))
            for name in layers:
                if done.get(name) != self.fingerprint(name):
                    self._write_stamp(done, working=name)
                    self._install(name)
                    done[name] = self.fingerprint(name)
            self._write_stamp(done, working=None)

    def _write_stamp(self, done: dict[str, str], working: str | None) -> None:
        told = {"folder": str(self.folder), "layers": done, "working": working}
        partial = self.folder / (STAMP + ".partial")
        partial.write_text(json.dumps(told, indent=2))
        partial.replace(self.folder / STAMP)

    def _clear_if_broken(self) -> None:
        """Remove what an interrupted set-up, a moved folder or a vanished Python left behind."""
        if not self.folder.exists():
            return
        stamp = self.stamp()
        if stamp is None:
            if any(self.folder.iterdir()) and not _starts(self.python):
                raise SetupError(
                    f"{self.folder} was not made by run.py, and no Python starts in it. Move it away, or set "
                    "HEARTH_HOME to another folder, then start again."
                )
            return
        if not stamp or stamp.get("working"):
            reason = "The last set-up did not finish"
        elif stamp.get("folder") != str(self.folder):
            reason = "The folder was moved"
        elif not _starts(self.python):
            reason = "The environment's Python no longer starts"
        else:
            return
        say(f"{reason}, so it is done anew.")
        shutil.rmtree(self.folder)

    def _create(self) -> None:
        with Step("Making the virtual environment") as step:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_stamp({}, working="environment")
            uv = shutil.which("uv")
            if (
                uv
                and _run(
                    step,
                    [uv, "venv", "--seed", "--allow-existing", "--python", sys.executable, str(self.folder)],
                )[0]
                == 0
            ):
                return
            code, tail = _run(step, [sys.executable, "-I", "-m", "venv", str(self.folder)])
            if code != 0:
                raise SetupError(
                    f"The virtual environment could not be made in {self.folder}. Python said:\n{tail}"
                )

    def _install(self, layer: str) -> None:
        files, title = LAYERS[layer]
        uv = shutil.which("uv")
        with Step(f"Installing {title}") as step:
            for name in files:
                path = str(self.root / "requirements" / name)
                if uv:
                    command = [uv, "pip", "install", "--python", str(self.python), "--require-hashes"]
                    if _run(step, [*command, "-r", path])[0] == 0:
                        continue
                    step.note("uv could not, trying pip")
                command = [str(self.python), "-I", "-m", "pip", "install", "--no-input", "--require-hashes"]
                command += ["--progress-bar", "off", "--disable-pip-version-check", "--only-binary", ":all:"]
                code, tail = _run(step, [*command, "-r", path])
                if code != 0:
                    raise SetupError(_why(tail))


def _why(tail: str) -> str:
    """pip's last words with a sentence about the most likely cause."""
    if re.search(r"NewConnectionError|ConnectTimeout|Temporary failure|Name or service|NameResolution", tail):
        return (
            "The first start fetches packages, and the network could not be reached. Connect and start again."
        )
    if "CERTIFICATE_VERIFY_FAILED" in tail:
        return (
            "The package index shows a certificate that this machine does not trust. Behind a proxy, "
            "set PIP_CERT to the proxy's certificate, then start again."
        )
    if "No space left" in tail:
        return "The disk is full. Hearth needs about 1.5 GB; make room and start again."
    return f"Packages could not be installed. Start again, or see what pip said:\n{tail}"


def _starts(python: Path) -> bool:
    """Whether the interpreter runs, is new enough and has pip."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return (
            subprocess.run([str(python), "-I", "-c", probe], capture_output=True, timeout=60).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(step: Step, command: list[str]) -> tuple[int, str]:
    """Run an installer with a line of progress; (exit code, its last lines)."""
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    tail: deque[str] = deque(maxlen=15)
    count = 0
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            tail.append(text.rstrip())
            if told := re.match(r"Collecting ([\w.-]+)", text):
                count += 1
                step.at(f"{count} found, {told.group(1)}")
            elif told := re.match(r"\s*Downloading (\S+) \(([\d.]+) ?(MB|MiB)\)", text):
                (step.note if float(told.group(2)) >= 10 else step.at)(
                    f"fetching {told.group(1)} ({told.group(2)} MB)"
                )
            elif text.startswith(("Installing collected", "Prepared")):
                step.at("unpacking")
    return process.returncode, "\n".join(tail)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two first starts do not build the same folder."""
    with open(path, "w") as held:
        try:
            import fcntl
        except ImportError:  # Windows: two first starts at once are not guarded there
            yield
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is setting Hearth up; waiting for it.")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
